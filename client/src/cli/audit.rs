//! `cictl audit`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;
use jiff::{Span, Timestamp, Zoned, civil::DateTime, tz::TimeZone};

/// Show who did what, newest first
///
/// That is requests that change something or read logs, and those that were denied.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Not before this: how long ago (2h, 3d) or when (2026-11-22, 2026-11-22T10:00)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

impl Audit {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let lines = cx.connect().await?.audit(self.since, self.limit).await?;
        let none = "the audit log has nothing of that time";
        cx.print_list(&lines, none, || table::audit(&lines, cx.width()))?;
        Ok(Exit::Done)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(ago) = text.parse::<Span>() {
        let then = Zoned::now().checked_sub(ago);
        return Ok(then.map_err(|error| error.to_string())?.timestamp());
    }
    let local = text.parse::<DateTime>();
    let local = local.and_then(|time| time.to_zoned(TimeZone::system()));
    local
        .map(|time| time.timestamp())
        .map_err(|_| "neither how long ago, like 2h or 3d, nor a time like 2026-11-22".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Timestamp::now();
        let ago = |text: &str| now.duration_since(time(text).unwrap()).as_secs();
        assert!((7195..=7200).contains(&ago("2h")));
        assert!((3 * 86_400 - 3700..=3 * 86_400 + 3700).contains(&ago("3d")));
        assert_eq!(
            time("2026-11-22T10:00:00Z").unwrap().as_second(),
            1_795_341_600
        );
        assert!(time("2026-11-22").is_ok() && time("2026-11-22T10:00").is_ok());
        assert!(time("yesterday").is_err());
    }
}
