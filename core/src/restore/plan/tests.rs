use super::*;

/// `level:min-max@time`, decimal; the time defaults to `max`, as if one transaction were written each millisecond.
fn file(text: &str) -> LtxInfo {
    let (level, rest) = text.split_once(':').expect("level");
    let (range, time) = rest.split_once('@').map_or((rest, None), |(range, time)| (range, Some(time)));
    let (min, max) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u64>().expect("number");
    LtxInfo {
        level: Level::new(number(level) as u8).expect("level"),
        min_txid: Txid(number(min)),
        max_txid: Txid(number(max)),
        size: 1000,
        created_at: time.map_or(number(max), number) as i64,
    }
}

fn files(list: &str) -> Vec<LtxInfo> {
    list.split_whitespace().map(file).collect()
}

#[track_caller]
fn gives(list: &str, target: Target, expected: &str) {
    let chosen = plan(&files(list), target).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(chosen.files(), files(expected), "{target}");
    // Order of listing must not matter.
    let mut reversed = files(list);
    reversed.reverse();
    assert_eq!(plan(&reversed, target).expect("planned before"), chosen);
}

fn refuses(list: &str, target: Target) -> PlanError {
    plan(&files(list), target).expect_err("no plan")
}

#[test]
fn starts_with_the_newest_snapshot_and_takes_the_longest_steps() {
    gives("9:1-1 9:1-4 0:1 0:2 0:3 0:4 0:5 0:6 1:5-6", Target::Latest, "9:1-4 1:5-6");
    gives("0:1 0:2 0:3", Target::Latest, "0:1 0:2 0:3");
    gives("9:1-9 0:8 0:9", Target::Latest, "9:1-9");
    gives("2:1-4 1:1-4 0:1", Target::Latest, "2:1-4");
}

#[test]
fn among_equal_reach_the_wider_then_the_higher_level_then_the_older_wins() {
    gives("0:1 1:2-3 2:2-3 0:2 0:3", Target::Latest, "0:1 2:2-3");
    gives("0:1 1:2-3 2:1-3", Target::Latest, "2:1-3");
    gives("0:1 1:2-3@9 1:2-3@5", Target::Latest, "0:1 1:2-3@5");
}

#[test]
fn h55_overlapping_compactions_still_give_a_chain() {
    gives("9:1-3 1:2-6 1:5-9 0:9 0:10", Target::Latest, "9:1-3 1:2-6 1:5-9 0:10");
}

#[test]
fn a_transaction_is_reached_exactly_or_not_at_all() {
    let list = "9:1-2 9:1-6 1:3-6 0:3 0:4 0:5 0:6 0:7";
    gives(list, Target::Txid(Txid(4)), "9:1-2 0:3 0:4");
    gives(list, Target::Txid(Txid(6)), "9:1-6");
    gives(list, Target::Txid(Txid(7)), "9:1-6 0:7");
    for (list, txid) in [("9:1-2 1:3-6", 4), ("9:1-2", 3), ("9:1-2", 1), ("0:1 0:3", 3), ("0:1", 0)] {
        let error = refuses(list, Target::Txid(Txid(txid)));
        assert!(matches!(error, PlanError::NotAvailable { .. }), "{list} {txid}: {error}");
    }
}

#[test]
fn h62_an_unreachable_transaction_is_explained() {
    let reason = |list: &str, txid| refuses(list, Target::Txid(Txid(txid))).to_string();
    assert!(reason("9:1-2 1:3-6", 4).contains("inside the compacted file 0000000000000003-0000000000000006.ltx"));
    assert!(reason("9:1-2 1:3-6", 9).contains("reaches transaction 0000000000000006"));
    assert!(reason("0:1 0:3", 3).contains("missing behind transaction 0000000000000001"));
}

#[test]
fn a_hole_is_an_error_for_the_latest_state_that_names_both_sides() {
    assert_eq!(refuses("0:1 0:2 0:4 0:5", Target::Latest), PlanError::Gap { reached: Txid(2), next: Txid(4) });
    assert_eq!(refuses("0:1 0:6 0:9-7", Target::Latest), PlanError::Gap { reached: Txid(1), next: Txid(6) });
    assert_eq!(refuses("0:1 0:9-7", Target::Latest), PlanError::Gap { reached: Txid(1), next: Txid(9) });
    assert!(matches!(refuses("0:2 0:3", Target::Latest), PlanError::NotAvailable { .. }));
}

#[test]
fn an_empty_replica_holds_neither_a_state_nor_a_time() {
    assert!(matches!(refuses("", Target::Latest), PlanError::NotAvailable { .. }));
    assert!(matches!(refuses("", Target::Txid(Txid(1))), PlanError::NotAvailable { .. }));
    assert_eq!(refuses("", Target::Timestamp(0)), PlanError::Empty);
}

#[test]
fn time_takes_files_written_strictly_before() {
    let list = "9:1@100 9:1-4@400 2:1@100 0:1@100 0:2@200 0:3@300 0:4@400 0:5@500 0:6@600 1:5-6@600";
    gives(list, Target::Timestamp(101), "9:1@100");
    gives(list, Target::Timestamp(300), "9:1@100 0:2@200");
    gives(list, Target::Timestamp(301), "9:1@100 0:2@200 0:3@300");
    gives(list, Target::Timestamp(600), "9:1-4@400 0:5@500");
    assert!(matches!(refuses(list, Target::Timestamp(99)), PlanError::BeforeFirst { .. }));
    assert!(matches!(refuses(list, Target::Timestamp(100)), PlanError::NotAvailable { .. }));
}

#[test]
fn a_time_after_the_last_file_is_the_latest_state() {
    let list = "9:1@100 0:2@200";
    for time in [201, 5000, i64::MAX] {
        gives(list, Target::Timestamp(time), "9:1@100 0:2@200");
    }
}

#[test]
fn a_level_9_file_that_is_no_snapshot_is_never_a_start() {
    assert!(matches!(refuses("9:2-5", Target::Latest), PlanError::NotAvailable { .. }));
}

#[test]
fn h54_a_hundred_thousand_files_are_planned_at_once() {
    let many: Vec<LtxInfo> = (1..=100_000).map(|txid| file(&format!("0:{txid}"))).collect();
    assert_eq!(plan(&many, Target::Latest).expect("a chain").files().len(), 100_000);
}
