//! The checks are checked: an honest store passes every one, and each planted defect is noticed by its own.

mod laboratory;

use super::*;
use crate::configure;
use crate::describe::{ConfigureAnswer, ConfigureRequest, Configured, Description, Problem};
use crate::export::Exported;
use crate::fault::Defect;
use crate::memory::{MemoryPlugin, MemoryStorage};
use crate::types::{Capability, DbPath, Location};
use std::collections::BTreeSet;

fn request() -> ConfigureRequest {
    ConfigureRequest::new().with_url("memory://conformance/base")
}

/// For stores that are right: memory shows at once what it shows, and a busy machine may take its time.
fn settings() -> Settings {
    let patient = Settings::default();
    let stall = patient.stall;
    patient.with_waits(Duration::from_millis(50), stall)
}

/// For stores that are wrong: a check that waits for what never comes need not wait long.
fn impatient() -> Settings {
    settings().with_waits(Duration::from_millis(50), Duration::from_millis(200))
}

async fn run_checks(subject: &Subject, settings: Settings) -> Report {
    run(subject, &fresh_root(&ReplicaPath::default()), &settings).await
}

async fn honest() -> Subject {
    Subject::of_plugin::<MemoryPlugin>(&request(), Context::without_host()).await.unwrap()
}

/// The checks that were not made.
fn not_ok(report: &Report) -> Vec<&'static str> {
    report.results.iter().filter(|r| r.outcome != Outcome::Ok).map(|r| r.id).collect()
}

#[tokio::test]
async fn an_honest_store_passes_every_check_and_is_left_empty() {
    let report = run_checks(&honest().await, settings()).await;
    // What a struct in `cargo test` cannot show, and what takes minutes.
    assert_eq!(not_ok(&report), ["R4", "L6", "L7", "D2", "E1", "E2", "P1", "P2"], "\n{report}");
    assert!(report.is_ok(), "\n{report}");
    assert!(matches!(report.removed, Ok(removed) if removed > 1000), "{report}");
    assert!(MemoryStorage::named("conformance").is_empty());
}

#[tokio::test]
async fn an_honest_store_passes_in_hostile_surroundings() {
    let only = ["R4", "L6", "L7", "D2", "E1", "E2", "P2"];
    let report = run_checks(&laboratory::subject("honest", None).await, settings().with_only(only)).await;
    assert_eq!((not_ok(&report), report.results.len()), (vec![], only.len()), "\n{report}");
    assert!(MemoryStorage::named("honest").is_empty());
}

#[tokio::test]
async fn every_check_notices_its_planted_defect() {
    let mut missed = Vec::new();
    for (defect, id) in Defect::ALL {
        let subject = laboratory::subject(&format!("{defect:?}"), Some(*defect)).await;
        // More than the check allows, and little enough for a test.
        let settings = impatient().with_only([*id]).with_full(*id == "P1").with_large_object(200 << 20);
        let report = run_checks(&subject, settings).await;
        if report.failed().map(|result| result.id).ne([*id]) {
            missed.push(format!("{defect:?}:\n{report}"));
        }
    }
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
}

#[tokio::test]
async fn every_check_of_a_store_has_a_defect() {
    let tested: BTreeSet<&str> = Defect::ALL.iter().map(|(_, id)| *id).chain(["N2", "O1"]).collect();
    let all: BTreeSet<&str> = checks().map(|(id, _)| id).collect();
    assert_eq!(tested, all);
}

#[tokio::test]
async fn a_run_tells_as_it_goes_and_finds_checks_whatever_their_case() {
    let mut told = Vec::new();
    let settings = settings().with_only(["w1", "r2"]);
    let (subject, root) = (honest().await, fresh_root(&ReplicaPath::default()));
    let report = run_and_tell(&subject, &root, &settings, |result| told.push(result.id)).await;
    assert_eq!(report.results.len(), 2);
    assert_eq!(told, ["W1", "R2"]);
}

#[tokio::test]
async fn what_a_dropped_run_left_can_be_removed() {
    let subject = laboratory::subject("dropped", None).await;
    let root = fresh_root(&ReplicaPath::default());
    let settings = settings().with_only(["L5"]);
    let run = run(&subject, &root, &settings);
    let watch = async {
        while MemoryStorage::named("dropped").len() < 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { biased; () = watch => {}, report = run => panic!("{report}") };
    let left = MemoryStorage::named("dropped").len() as u64;
    assert_eq!(subject.remove_all(&root).await, Ok(left));
    assert!(MemoryStorage::named("dropped").is_empty());
}

#[tokio::test]
async fn a_lossy_resolve_is_noticed() {
    let lower = |at: &Location, db: &DbPath| {
        let text = db.as_bytes().to_ascii_lowercase();
        Ok(at.base.join(&DbPath::parse(text)?))
    };
    let report =
        run_checks(&honest().await.with_resolve(Location::default(), lower), settings().with_only(["N2"])).await;
    assert!(!report.is_ok(), "{report}");
}

#[tokio::test]
async fn incomplete_problems_and_shown_secrets_are_noticed() {
    let described = || configure::describe::<MemoryPlugin>(MemoryPlugin::RECORD).unwrap();
    let judge = async |description: Description, configure: fn(&ConfigureRequest) -> ConfigureAnswer| {
        let subject = honest().await.with_configure(description, request(), configure);
        run_checks(&subject, settings().with_only(["O1"])).await
    };
    let first_only = |request: &ConfigureRequest| match configure::configure::<MemoryPlugin>(request) {
        ConfigureAnswer::Refused { mut problems } => {
            problems.truncate(1);
            ConfigureAnswer::Refused { problems }
        }
        accepted => accepted,
    };
    assert!(!judge(described(), first_only).await.is_ok());

    // A plugin that takes `store` for no secret, although it says it is one.
    let mut secret = described();
    secret.options[0].secret = true;
    secret.options[0].default = None;
    let leaks = judge(secret, configure::configure::<MemoryPlugin>).await;
    assert!(leaks.to_string().contains("the secret store is shown"), "{leaks}");
}

#[tokio::test]
async fn a_check_is_skipped_only_for_what_is_not_claimed() {
    struct Plain(MemoryStorage);
    #[crate::async_trait]
    impl Storage for Plain {
        fn capability(&self) -> Capability {
            Capability::new(0).with_time_step(Duration::ZERO).with_delete_batch(2)
        }
        async fn list(&self, request: crate::ListRequest) -> Result<crate::Pages> {
            self.0.list(request).await
        }
        async fn stat(&self, key: &crate::ObjectKey) -> Result<crate::ObjectInfo> {
            self.0.stat(key).await
        }
        async fn read(&self, request: crate::ReadRequest) -> Result<(Option<crate::ObjectInfo>, crate::Body)> {
            self.0.read(request).await
        }
        async fn write(&self, request: crate::WriteRequest, body: crate::Body) -> Result<crate::ObjectInfo> {
            self.0.write(request, body).await
        }
        async fn delete(&self, keys: Vec<crate::ObjectKey>) -> Result<Vec<Result<()>>> {
            assert!(keys.len() <= 2, "more keys than one delete takes");
            self.0.delete(keys).await
        }
    }
    let only = ["W7", "W8", "W10", "R3", "L4", "N1", "N2", "O1", "D1", "W1"];
    let report = run_checks(&Subject::new(Arc::new(Plain(MemoryStorage::new()))), settings().with_only(only)).await;
    let skipped: Vec<String> = report
        .results
        .iter()
        .filter_map(|result| match &result.outcome {
            Outcome::Skip(reason) => Some(format!("{} {reason}", result.id)),
            _ => None,
        })
        .collect();
    assert_eq!(
        skipped,
        [
            "W7 not claimed: IF_ABSENT",
            "W8 not claimed: the store keeps no time",
            "W10 not claimed: IF_ABSENT",
            "R3 not claimed: READ_VERSION",
            "L4 roll-up not claimed: ROLL_UP",
            "N1 names that are not UTF-8 not claimed: BYTE_NAMES",
            "N2 only the open store is at hand",
            "O1 only the open store is at hand",
        ],
        "\n{report}"
    );
    assert!(report.is_ok(), "{report}");
}

#[test]
fn accepted_and_refused_answers_are_told_apart() {
    let text = r#"{"problems":[{"key":"a","origin":"b","message":"c"}]}"#;
    let answer: ConfigureAnswer = serde_json::from_str(text).unwrap();
    let problem = Problem::new("a", "c").with_origin("b");
    assert_eq!(answer, ConfigureAnswer::Refused { problems: vec![problem] });
    let text = r#"{"pool":"p","location":{"base":"b"},"later":1}"#;
    let ConfigureAnswer::Accepted(Configured { location, .. }) = serde_json::from_str(text).unwrap() else { panic!() };
    assert_eq!(location.base, "b");
}

crate::conformance!(MemoryPlugin, || ConfigureRequest::new().with_url("memory://macro/base"));

mod store_only {
    crate::conformance!(|_context| async move { Ok(crate::memory::MemoryStorage::new()) });
}
