//! `Board`: the figures of one scenario, their medians, ratios and targets, and the table of them.

use std::fmt::Write as _;

/// The column that others are compared with.
const BASE: &str = "processor";

/// A generator that used more of its core than this may have been what was measured.
const BUSY: f64 = 0.9;

/// Figures by row and column, a value for each round.
pub(crate) struct Board {
    title: &'static str,
    about: String,
    rows: Vec<(String, Cells)>,
    columns: Vec<&'static str>,
    targets: Vec<Target>,
    notes: Vec<String>,
}

/// A row's values by column.
type Cells = Vec<(&'static str, Vec<f64>)>;

struct Target {
    text: String,
    measured: Option<f64>,
    bound: f64,
    at_most: bool,
}

impl Board {
    /// An empty board. `about` says what is done.
    pub(crate) fn new(title: &'static str, about: impl Into<String>) -> Self {
        let (rows, columns, targets, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { title, about: about.into(), rows, columns, targets, notes }
    }

    /// Adds one round's figure.
    pub(crate) fn add(&mut self, row: impl Into<String>, column: &'static str, value: f64) {
        let row = row.into();
        if !self.columns.contains(&column) {
            self.columns.push(column);
        }
        let place = self.rows.iter().position(|(name, _)| *name == row).unwrap_or_else(|| {
            self.rows.push((row, Vec::new()));
            self.rows.len() - 1
        });
        let cells = &mut self.rows[place].1;
        match cells.iter_mut().find(|(name, _)| *name == column) {
            Some((_, values)) => values.push(value),
            None => cells.push((column, vec![value])),
        }
    }

    /// Adds how busy the generator was.
    pub(crate) fn generator(&mut self, row: &str, column: &'static str, share: f64) {
        self.add(format!("{row}: generator, % of its core"), column, share * 100.0);
        if share > BUSY {
            self.note(format!("{row}, {column}: the generator was the bottleneck ({:.0} %)", share * 100.0));
        }
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// The median of a figure over the rounds.
    pub(crate) fn median(&self, row: &str, column: &str) -> Option<f64> {
        let cells = &self.rows.iter().find(|(name, _)| name == row)?.1;
        let mut values = cells.iter().find(|(name, _)| *name == column)?.1.clone();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }

    /// The processor's figure in proportion to another's.
    pub(crate) fn ratio(&self, row: &str, column: &str) -> Option<f64> {
        let other = self.median(row, column).filter(|other| *other != 0.0)?;
        Some(self.median(row, BASE)? / other)
    }

    /// A target that is met by values up to `bound`.
    pub(crate) fn at_most(&mut self, text: impl Into<String>, measured: Option<f64>, bound: f64) {
        self.targets.push(Target { text: text.into(), measured, bound, at_most: true });
    }

    /// A target that is met by values from `bound` on.
    pub(crate) fn at_least(&mut self, text: impl Into<String>, measured: Option<f64>, bound: f64) {
        self.targets.push(Target { text: text.into(), measured, bound, at_most: false });
    }

    /// The whole as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut page = format!("## {}\n\n{}\n\n", self.title, self.about);
        let others: Vec<_> = self.columns.iter().filter(|column| **column != BASE).collect();
        let mut head = "| |".to_owned();
        self.columns.iter().for_each(|column| write!(head, " {column} |").unwrap());
        if self.columns.contains(&BASE) {
            others.iter().for_each(|column| write!(head, " : {column} |").unwrap());
        }
        let rule = "---|".repeat(head.matches('|').count() - 1);
        writeln!(page, "{head}\n|{rule}").unwrap();
        for (row, _) in &self.rows {
            let cells = self.columns.iter().map(|column| number(self.median(row, column)));
            let ratios = others.iter().map(|column| number(self.ratio(row, column)));
            let ratios = ratios.take(if self.columns.contains(&BASE) { others.len() } else { 0 });
            let cells: Vec<String> = cells.chain(ratios).collect();
            writeln!(page, "| {row} | {} |", cells.join(" | ")).unwrap();
        }
        if !self.targets.is_empty() {
            page.push_str("\n| target | bound | measured | |\n|---|---|---|---|\n");
        }
        for Target { text, measured, bound, at_most } in &self.targets {
            let verdict = match measured {
                Some(value) if (value <= bound) == *at_most || value == bound => "met",
                Some(_) => "**missed**",
                None => "not measured",
            };
            let sign = if *at_most { "≤" } else { "≥" };
            let bound = number(Some(*bound));
            writeln!(page, "| {text} | {sign} {bound} | {} | {verdict} |", number(*measured)).unwrap();
        }
        for note in &self.notes {
            write!(page, "\n- {note}").unwrap();
        }
        page.push_str(if self.notes.is_empty() { "\n" } else { "\n\n" });
        page
    }
}

/// Three digits that matter, or as many as stand before the point.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
