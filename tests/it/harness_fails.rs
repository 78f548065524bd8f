//! The harness itself: what a test asks for and is not there fails that test.

use processor::live::ScaffoldHandler;

use crate::harness::{Live, Server, folder, sql, sum};

const PAGE: &str = "# TYPE processor_ends_total counter\n\
    processor_ends_total{code=\"1001\",instance_id=\"host-1000\",reason=\"going_away\"} 2\n\
    processor_ends_total{code=\"1001\",instance_id=\"host-1000\",reason=\"client_going_away\"} 3\n\
    processor_open{instance_id=\"1000\"} 7\n";

#[test]
fn a_sum_is_over_the_series_with_that_label_and_no_other() {
    assert_eq!(sum(PAGE, "processor_ends_total", ""), 5.0);
    assert_eq!(sum(PAGE, "processor_ends_total", "1001"), 5.0);
    assert_eq!(sum(PAGE, "processor_ends_total", "going_away"), 2.0);
    assert_eq!(sum(PAGE, "processor_ends_total", "reason=\"client_going_away\""), 3.0);
    assert_eq!(sum(PAGE, "processor_open", ""), 7.0);
}

#[test]
#[should_panic(expected = "no series processor_end with")]
fn a_metric_that_does_not_exist() {
    sum(PAGE, "processor_end", "");
}

#[test]
#[should_panic(expected = "no series processor_ends_total with \"away\"")]
fn a_label_of_which_only_a_part_is_there() {
    sum(PAGE, "processor_ends_total", "away");
}

#[test]
#[should_panic(expected = "no series processor_ends_total with \"code=\\\"going_away\\\"\"")]
fn a_value_that_another_label_has() {
    sum(PAGE, "processor_ends_total", "code=\"going_away\"");
}

#[test]
#[should_panic(expected = "no series processor_open with \"1000\"")]
fn a_label_that_only_the_name_of_the_machine_matches() {
    sum(PAGE, "processor_open", "1000");
}

#[actix::test]
#[should_panic(expected = "no series processor_nothing with")]
async fn a_metric_that_a_server_does_not_have() {
    let folder = folder();
    Server::start(folder.path(), &[]).metric("processor_nothing", "").await;
}

#[actix::test]
#[should_panic(expected = "no series processor_live_closes_total with \"boredom\"")]
async fn a_label_that_a_live_server_does_not_have() {
    Live::start(&[], |_| ScaffoldHandler).metric("processor_live_closes_total", "boredom");
}

#[test]
#[should_panic(expected = "select 1 from nowhere")]
fn sql_that_cannot_be_run() {
    sql(&folder().path().join("new.db"), &["select 1 from nowhere"]);
}
