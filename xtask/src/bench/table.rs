//! A table of figures and what they are to reach, printed and as JSON.

use super::spread::Spread;
use anyhow::Result;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A figure, and what it is to be at most.
pub(super) struct Row {
    pub(super) what: &'static str,
    /// Seconds of cid's.
    pub(super) cid: Spread,
    /// What they are compared with, and the ratio within each round; without it the seconds themselves count.
    pub(super) against: Option<(Spread, Spread)>,
    pub(super) goal: f64,
}

impl Row {
    /// Rounds of cid's seconds and of what they are compared with.
    pub(super) fn ratio(what: &'static str, rounds: &[(f64, f64)], goal: f64) -> Self {
        let other = Spread::of(rounds.iter().map(|(_, other)| *other));
        let ratio = Spread::of(rounds.iter().map(|(cid, other)| cid / other));
        Self {
            what,
            cid: Spread::of(rounds.iter().map(|(cid, _)| *cid)),
            against: Some((other, ratio)),
            goal,
        }
    }

    /// Seconds that are compared with nothing.
    pub(super) fn seconds(what: &'static str, seconds: &[f64], goal: f64) -> Self {
        Self {
            what,
            cid: Spread::of(seconds.iter().copied()),
            against: None,
            goal,
        }
    }

    /// The ratio of the medians, or the median.
    fn figure(&self) -> f64 {
        match &self.against {
            Some((other, _)) => self.cid.median / other.median,
            None => self.cid.median,
        }
    }

    fn is_reached(&self) -> bool {
        self.figure() <= self.goal
    }

    fn print(&self) {
        let (other, low, high) = match &self.against {
            Some((other, ratio)) => (format!("{:.3}", other.median), ratio.min, ratio.max),
            None => (String::new(), self.cid.min, self.cid.max),
        };
        println!(
            "{:<42}{:>8.3}{other:>8}{:>9.3}    {low:>6.3} to {high:>6.3}{:>7}    {}",
            self.what,
            self.cid.median,
            self.figure(),
            self.goal,
            if self.is_reached() { "yes" } else { "no" }
        );
    }

    fn json(&self) -> Value {
        let spread = |spread: &Spread| json!([spread.min, spread.median, spread.max]);
        let against = self.against.as_ref();
        json!({
            "what": self.what, "figure": self.figure(), "goal": self.goal, "reached": self.is_reached(),
            "cid": spread(&self.cid), "against": against.map(|(other, _)| spread(other)),
            "ratio_in_a_round": against.map(|(_, ratio)| spread(ratio)),
        })
    }
}

/// Prints the rows, and writes them to a file with what else is to be known.
pub(super) fn report(rows: &[Row], more: Value, file: &Path) -> Result<()> {
    println!(
        "\n{:<42}{:>8}{:>8}{:>9}    {:>16}{:>7}    reached",
        "medians, s", "cid", "app", "figure", "in single rounds", "goal"
    );
    for row in rows {
        row.print();
    }
    let mut all = more;
    if let Value::Object(all) = &mut all {
        let rows = rows.iter().map(Row::json).collect();
        all.insert("rows".into(), Value::Array(rows));
    }
    fs::write(file, serde_json::to_vec_pretty(&all)?)?;
    println!("{}", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_ratio_of_medians_or_a_median() {
        let row = Row::ratio("a", &[(2.0, 1.0), (3.0, 2.0), (4.0, 4.0)], 1.4);
        assert!((row.figure() - 1.5).abs() < 1e-9);
        assert!(!row.is_reached());
        let row = Row::seconds("b", &[0.3, 0.1, 0.2], 0.2);
        assert!((row.figure() - 0.2).abs() < 1e-9);
        assert!(row.is_reached());
    }
}
