//! Aligned text for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Widest cell, in columns of the terminal; what is longer ends in `…`. `show` and `--json` have the whole.
const CELL_MAX: usize = 40;
const GAP: &str = "  ";

/// How many columns the terminal has that standard output is; `None` when it is none.
pub(super) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// A table, or where it is wider than `width`, each row as members of its own: broken lines cannot be read.
pub(super) fn rows<const N: usize>(head: [&str; N], rows: &[[String; N]], width: Option<usize>) -> String {
    let table = table(head, rows);
    let widest = table.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
    if width.is_none_or(|width| widest <= width) {
        return table;
    }
    let names = head.map(str::to_lowercase);
    let one = |row: &[String; N]| {
        let pairs: Vec<_> = names.iter().map(String::as_str).zip(row.iter().cloned()).collect();
        members(&pairs)
    };
    rows.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Rows under a head, each column as wide as its widest cell.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let cells: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows.iter().map(|row| row.each_ref().map(|cell| shortened(&visible(cell)))))
        .collect();
    let mut widths = [0; N];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    cells.iter().map(|row| line(row.iter().zip(widths))).collect()
}

/// One thing, a member per line.
pub(super) fn members(members: &[(&str, String)]) -> String {
    let widest = members.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    members.iter().map(|(name, value)| line([(*name, widest), (&*visible(value), 0)].into_iter())).collect()
}

fn line<T: AsRef<str>>(cells: impl Iterator<Item = (T, usize)>) -> String {
    let mut line = String::new();
    for (cell, width) in cells {
        let cell = cell.as_ref();
        let padding = width.saturating_sub(cell.width());
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', padding));
        line.push_str(GAP);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// A terminal obeys control characters; a store that somebody else wrote to may hold some.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn shortened(text: &str) -> String {
    if text.width() <= CELL_MAX {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= CELL_MAX {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 2]) -> [String; 2] {
        cells.map(str::to_owned)
    }

    #[test]
    fn columns_align_by_what_the_terminal_shows() {
        let shown =
            table(["NAME", "STATUS"], &[row(["東京", "active"]), row(["CI", "expired"]), row(["", "x"])]);
        assert_eq!(shown, "NAME  STATUS\n東京  active\nCI    expired\n      x\n");
    }

    #[test]
    fn long_cells_are_cut_at_a_column_and_control_characters_shown() {
        let long = "東".repeat(30);
        let shown = table(["NAME", "S"], &[row([&long, "1"]), row(["a\u{1b}[2J", "2"])]);
        let cut = format!("{}…", "東".repeat(19));
        assert!(shown.contains(&format!("{cut}  1\n")), "{shown}");
        assert!(shown.contains("a\u{fffd}[2J "), "{shown}");
    }

    #[test]
    fn a_table_wider_than_the_terminal_is_told_row_by_row() {
        let cells = [row(["laptop", "active"]), row(["CI", "expired"])];
        assert_eq!(rows(["NAME", "STATUS"], &cells, Some(15)), table(["NAME", "STATUS"], &cells));
        assert_eq!(rows(["NAME", "STATUS"], &cells, None), table(["NAME", "STATUS"], &cells));
        assert_eq!(
            rows(["NAME", "STATUS"], &cells, Some(14)),
            "name    laptop\nstatus  active\n\nname    CI\nstatus  expired\n"
        );
    }

    #[test]
    fn members_line_up() {
        let shown = members(&[("id", "1".to_owned()), ("last used", "never".to_owned())]);
        assert_eq!(shown, "id         1\nlast used  never\n");
    }
}
