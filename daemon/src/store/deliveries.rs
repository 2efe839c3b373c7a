//! The newest webhooks of each project.

use super::{
    Store, StoreError,
    rows::{parse, time},
};
use crate::domain::{Delivery, ProjectName};
use rusqlite::params;
use std::collections::BTreeMap;

impl Store {
    /// Writes down a project's deliveries in place of what is there.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_deliveries(
        &self,
        project: ProjectName,
        newest_first: Vec<Delivery>,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "DELETE FROM deliveries WHERE project = ?1";
            t.execute(sql, [project.as_str()])?;
            let mut put = t.prepare_cached(
                "INSERT INTO deliveries (project, at, scheme, event, sender_id, accepted, outcome) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for one in newest_first.iter().rev() {
                put.execute(params![
                    project.as_str(),
                    time(one.at),
                    one.scheme,
                    one.event,
                    one.id,
                    one.accepted,
                    one.outcome,
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// The deliveries of all projects, newest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn deliveries(&self) -> Result<BTreeMap<ProjectName, Vec<Delivery>>, StoreError> {
        self.read(|c| {
            let sql = "SELECT project, at, scheme, event, sender_id, accepted, outcome FROM deliveries ORDER BY id DESC";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found: BTreeMap<ProjectName, Vec<Delivery>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                found.entry(parse(row.get(0)?)?).or_default().push(Delivery {
                    at: parse(row.get(1)?)?,
                    scheme: row.get(2)?,
                    event: row.get(3)?,
                    id: row.get(4)?,
                    accepted: row.get(5)?,
                    outcome: row.get(6)?,
                });
            }
            Ok(found)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn deliveries_outlive_the_daemon_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cid.db");
        let shop = ProjectName::parse("shop").unwrap();
        let delivery = |second, accepted| Delivery {
            at: jiff::Timestamp::from_second(second).unwrap(),
            scheme: "github".into(),
            event: "push".into(),
            id: second.to_string(),
            accepted,
            outcome: "done".into(),
        };
        let all = vec![delivery(3, true), delivery(2, false), delivery(1, true)];
        let store = Store::open(&path).unwrap();
        for _ in 0..2 {
            store
                .set_deliveries(shop.clone(), all.clone())
                .await
                .unwrap();
        }
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(
            store.deliveries().await.unwrap(),
            [(shop.clone(), all)].into()
        );
        store.forget_project(shop).await.unwrap();
        assert!(store.deliveries().await.unwrap().is_empty());
    }
}
