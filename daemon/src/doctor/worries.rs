//! Settings that work today but are likely a mistake, or will stop working soon.

use crate::{
    config::{EnvName, GivenCertificate, Project},
    step,
    system::tls::Certificates,
};
use jiff::{SignedDuration, Timestamp};
use std::{fs, os::unix::fs::MetadataExt};

/// certbot renews 30 days before the end: when half of that is left, renewal has failed.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A key in the project file, what is worrying about it, and what to do.
pub(crate) struct Worry {
    /// The key, e.g. `tls`.
    pub(crate) key: String,
    /// The worry.
    pub(crate) message: String,
    /// What to do.
    pub(crate) mend: String,
}

/// All worries about a project.
pub(crate) async fn worries(project: &Project) -> Vec<Worry> {
    let mut worries = Vec::new();
    for given in project.certificates() {
        worries.extend(open_key(&given));
        // A certificate that is not usable is reported as an error.
        if let Ok(pair) = Certificates::read(&given).await {
            worries.extend(ends_soon(&given, pair.not_after(), Timestamp::now()));
        }
    }
    worries.extend(plain_stages(project));
    worries.extend(idle_variables(project));
    worries.extend(project.empty_database().map(|fault| Worry {
        key: "database".to_owned(),
        mend: fault.hint.unwrap_or_default(),
        message: fault.message,
    }));
    worries
}

/// Variables that cid sets itself, whatever the file says.
fn idle_variables(project: &Project) -> Vec<Worry> {
    let names = project.env.keys().map(EnvName::as_str);
    let idle = names.filter(|name| step::is_cids_own(project, name));
    let told = idle.map(|name| Worry {
        key: "env".to_owned(),
        message: format!("{name} in [env] has no effect: cid sets it itself"),
        mend: "take it out".to_owned(),
    });
    told.collect()
}

/// Stages that answer over HTTP alone, as the project's certificate is not for their names.
fn plain_stages(project: &Project) -> Vec<Worry> {
    let stages = project.stages.keys();
    let plain = stages.filter(|name| project.tls.is_some() && !project.is_https(name));
    let told = plain.map(|name| {
        let name = name.as_str();
        Worry {
            key: format!("stages.{name}.tls"),
            message: format!(
                "the stage answers over HTTP alone: the project's certificate is for *.{}, not for all its names",
                *project.domain
            ),
            mend: format!("give it one: [stages.{name}] tls = {{ certificate, key }}"),
        }
    });
    told.collect()
}

fn open_key(given: &GivenCertificate) -> Option<Worry> {
    let key = &given.tls.key;
    let mode = fs::metadata(key).ok()?.mode() & 0o777;
    let shown = key.display();
    (mode & 0o077 != 0).then(|| Worry {
        key: given.name.key(),
        message: format!("others than its owner may use the key {shown} (mode {mode:04o})"),
        mend: format!("chmod 600 {shown}"),
    })
}

fn ends_soon(given: &GivenCertificate, end: Timestamp, now: Timestamp) -> Option<Worry> {
    let left = end.duration_since(now);
    (left < SOON).then(|| Worry {
        key: given.name.key(),
        message: format!(
            "the certificate ends at {end}, in {} days",
            left.as_hours() / 24
        ),
        mend: "renew it (certbot renew), then: systemctl reload cid".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn project(more: &str) -> Project {
        let text = format!("domain = \"x.localhost\"\n{more}\n[git]\nurl = \"/x.git\"\n");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn variables_of_cids_own_in_the_file_are_named() {
        let text = "domain = \"x.localhost\"\n[git]\nurl = \"/x.git\"\n[env]\nPORT = \"1\"\nPATH = \"/opt\"\nA = \"1\"\n";
        let told = idle_variables(&toml::from_str(text).unwrap());
        assert_eq!(told.len(), 1);
        assert!(told[0].message.starts_with("PORT in [env]"));
    }

    #[test]
    fn a_key_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.pem");
        fs::write(&key, "x").unwrap();
        let shown = key.display();
        let project = project(&format!(
            "tls = {{ certificate = \"/c\", key = \"{shown}\" }}"
        ));
        for (mode, is_open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let worry = project.certificates().iter().find_map(open_key);
            assert_eq!(worry.is_some(), is_open, "{mode:o}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_before_its_last_two_weeks() {
        let now = Timestamp::UNIX_EPOCH;
        let given = project("tls = { certificate = \"/c\", key = \"/k\" }").certificates();
        let in_hours = |hours| ends_soon(&given[0], now + SignedDuration::from_hours(hours), now);
        assert!(in_hours(14 * 24).is_none());
        let worry = in_hours(13 * 24 + 5).unwrap();
        assert!(worry.message.ends_with("in 13 days"), "{}", worry.message);
    }

    #[test]
    fn an_empty_database_needs_a_release() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("db.sqlite3");
        let shown = file.display();
        let database = format!("database = {{ kind = \"shared\", url = \"sqlite:///{shown}\" }}");
        let without = project(&database);
        assert!(without.empty_database().is_none(), "there is none");
        fs::write(&file, "").unwrap();
        assert!(without.empty_database().is_some());
        let with = project(&format!("{database}\napp.release = [[\"migrate\"]]"));
        assert!(with.empty_database().is_none());
        let none = project(&format!("{database}\napp.release = []"));
        assert!(none.empty_database().is_some());
        let other = dir.path().join("other");
        fs::rename(&file, &other).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        assert!(without.empty_database().is_none(), "no link is followed");
        fs::write(&other, "SQLite format 3").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(without.empty_database().is_none());
    }
}
