//! `sum`: a metric as a test reads it. One that is not there fails the test that asks for it.

/// The sum of a metric over all series on `page` that carry `label`: a label's whole value, or `name="value"`; if it
/// is empty, over all of them. The instance is no such label, as its name is chosen by the machine.
///
/// Panics if there is no such series.
pub(crate) fn sum(page: &str, name: &str, label: &str) -> f64 {
    let series = page.lines().filter_map(Series::read).filter(|series| series.is(name, label));
    let values: Vec<f64> = series.map(|series| series.value).collect();
    assert!(!values.is_empty(), "no series {name} with {label:?} in:\n{page}");
    values.iter().sum()
}

/// A line of the page.
struct Series<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

impl<'a> Series<'a> {
    /// `None` for a comment.
    fn read(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.strip_suffix("\"}")?.split_once('{')?;
        let labels = labels.split("\",").map(|label| label.split_once("=\"").unwrap()).collect();
        Some(Self { name, labels, value: value.parse().unwrap() })
    }

    fn is(&self, name: &str, label: &str) -> bool {
        let (wanted_name, wanted) = label.split_once('=').unwrap_or(("", label));
        let wanted = wanted.trim_matches('"');
        let may_be = |name: &str| name == wanted_name || wanted_name.is_empty() && name != "instance_id";
        let carries = |(name, value): &(&str, &str)| may_be(name) && *value == wanted;
        self.name == name && (label.is_empty() || self.labels.iter().any(carries))
    }
}
