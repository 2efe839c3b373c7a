//! Lists in a terminal that is too narrow for them: whole columns are left out, then one is cut. The list says so.

/// A column that is cut keeps this much.
const LEAST: usize = 12;
/// Between two columns.
const GAP: usize = 2;

/// What may be left out if there is too little room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow {
    /// Columns that are left out, the first one first.
    pub(super) drop: &'static [&'static str],
    /// The column that is cut when that is not enough.
    pub(super) cut: Option<&'static str>,
}

/// Makes header and rows fit into `width` columns as far as possible. Returns what was left out.
pub(super) fn fit(
    header: &mut Vec<String>,
    rows: &mut [Vec<String>],
    width: usize,
    narrow: Narrow,
) -> Vec<&'static str> {
    let mut dropped = Vec::new();
    for &name in narrow.drop {
        if total(header, rows) <= width {
            break;
        }
        if let Some(column) = header.iter().position(|title| title == name) {
            header.remove(column);
            rows.iter_mut().for_each(|row| drop(row.remove(column)));
            dropped.push(name);
        }
    }
    let over = total(header, rows).saturating_sub(width);
    let column = header
        .iter()
        .position(|title| Some(title.as_str()) == narrow.cut);
    if let (Some(column), 1..) = (column, over) {
        let most = widths(header, rows)[column].saturating_sub(over).max(LEAST);
        rows.iter_mut().for_each(|row| cut(&mut row[column], most));
    }
    dropped
}

fn widths(header: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let length = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.fold(header[column].chars().count(), usize::max)
    };
    (0..header.len()).map(length).collect()
}

fn total(header: &[String], rows: &[Vec<String>]) -> usize {
    widths(header, rows).iter().sum::<usize>() + GAP * header.len().saturating_sub(1)
}

fn cut(cell: &mut String, most: usize) {
    if cell.chars().count() > most {
        *cell = cell.chars().take(most - 1).chain(['…']).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Narrow = Narrow {
        drop: &["C", "NONE", "B"],
        cut: Some("A"),
    };

    fn fitted(width: usize) -> (String, Vec<&'static str>) {
        let text = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let mut header = text(["A", "B", "C"]);
        let mut rows = vec![text(["anna@example.com", "1234567890", "12345"])];
        let dropped = fit(&mut header, &mut rows, width, NARROW);
        (rows[0].join(" "), dropped)
    }

    #[test]
    fn no_more_goes_than_must() {
        assert_eq!(
            fitted(35),
            ("anna@example.com 1234567890 12345".into(), vec![])
        );
        assert_eq!(
            fitted(34),
            ("anna@example.com 1234567890".into(), vec!["C"])
        );
        assert_eq!(fitted(16), ("anna@example.com".into(), vec!["C", "B"]));
        assert_eq!(fitted(15), ("anna@example.c…".into(), vec!["C", "B"]));
        assert_eq!(fitted(1), ("anna@exampl…".into(), vec!["C", "B"]));
    }
}
