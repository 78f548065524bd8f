//! Prometheus' own checker, `promtool`, on the metrics page of a running server and on the alert rules.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use crate::harness::{Server, folder, project, sum};

const RULES: &str = "docs/alerts.yml";
const UNIT_TESTS: &str = "tests/promtool/alerts.yml";

/// Runs it in the project's folder. It must be content.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(project());
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "promtool is not installed: run tests/run, or apt-get install --no-install-recommends prometheus"
        ),
        _ => panic!("promtool: {error}"),
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

async fn page() -> String {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.get("/metrics").await.1
}

#[actix::test]
async fn promtool_accepts_the_metrics_page() {
    promtool(&["check", "metrics"], &page().await);
}

#[test]
fn promtool_accepts_the_alert_rules() {
    promtool(&["check", "rules", RULES], "");
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let read = |name| fs::read_to_string(project().join(name)).unwrap();
    let (rules, tests) = (read(RULES), read(UNIT_TESTS));
    let alerts: BTreeSet<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("{{alertname=\"{alert}\"}}")), "{UNIT_TESTS} has no {alert}");
    }
    promtool(&["test", "rules", UNIT_TESTS], "");
}

/// Every `processor_…` in `text`, with the label that it must have, if any.
fn selectors(text: &str) -> Vec<(&str, &str)> {
    let begins = text.match_indices("processor_").map(|(begin, _)| &text[begin..]);
    begins
        .map(|text| {
            let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let label =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(label, _)| label);
            // A pattern is not looked up.
            (name, if label.contains("=~") { "" } else { label })
        })
        .collect()
}

#[actix::test]
async fn the_alert_rules_ask_only_for_series_that_exist() {
    let page = page().await;
    let rules = fs::read_to_string(project().join(RULES)).unwrap();
    let selectors = selectors(&rules);
    assert!(selectors.contains(&("processor_live_refused_total", "reason=\"server_full\"")), "{selectors:?}");
    for (name, label) in selectors {
        // A histogram by its own name stands in texts.
        let series = format!("{name}_count");
        let is_histogram = page.contains(&format!("# TYPE {name} histogram\n"));
        sum(&page, if is_histogram { &series } else { name }, label);
    }
}
