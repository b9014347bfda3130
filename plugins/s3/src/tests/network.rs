//! What breaks on the way, what it costs, and who may not enter.

use std::time::Duration;

use super::*;

/// One error for each way in which a connection fails; the next call on the same store works.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_on_the_way_is_classified_and_over_with_the_next_call() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let bucket = open(&request(proxy.address())).await;
    let content = Bytes::from(vec![7; 1 << 20]);
    let target = key("broken/a");
    let write = async || bucket.write(WriteRequest::new(target.clone(), TIME), Body::from_bytes(content.clone())).await;
    let read = async || bucket.read(ReadRequest::whole(target.clone())).await?.1.collect(u64::MAX).await;

    proxy.plant(Rule::new(Fault::slow_down(503, Duration::from_secs(7))).method("PUT"));
    let busy = write().await.unwrap_err();
    assert_eq!((busy.kind, busy.retry_after), (ErrorKind::RATE_LIMITED, Some(Duration::from_secs(7))), "{busy}");
    proxy.plant(Rule::new(Fault::CutRequest(1000)).method("PUT"));
    assert_eq!(write().await.unwrap_err().kind, ErrorKind::TRANSIENT);
    assert_eq!(bucket.stat(&target).await.unwrap_err().kind, ErrorKind::NOT_FOUND, "nothing half is visible");
    write().await.unwrap();
    proxy.plant(Rule::new(Fault::CutAnswer(1000)).method("GET"));
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::TRANSIENT, "a cut stream is not a short object");
    proxy.refuse();
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::TRANSIENT);
    proxy.heal();
    assert_eq!(read().await.unwrap(), content);
}

/// Credentials that expired are an error of credentials: the host comes back, and the chain has new ones by then.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_an_error_of_credentials() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let bucket = open(&request(proxy.address())).await;
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>".to_owned();
    proxy.plant(Rule::new(Fault::Answer { status: 400, headers: Vec::new(), body }));
    let expired = entries(&bucket, below("expired")).await.unwrap_err();
    assert_eq!(expired.kind, ErrorKind::UNAUTHENTICATED);
    assert_eq!(expired.message, "LIST expired/: The provided token has expired. (ExpiredToken)");
    assert_eq!(entries(&bucket, below("expired")).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request_and_many_databases_are_found_with_one() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let bucket = open(&request(proxy.address())).await;
    let names: Vec<ObjectKey> = (0..10).map(|number| key(&format!("counted/{number}.db/ltx/0/1"))).collect();
    for name in &names {
        bucket.write(WriteRequest::new(name.clone(), TIME), Body::from_bytes("x")).await.unwrap();
    }
    assert_eq!(proxy.requests().len(), 10);
    proxy.forget_requests();
    let rolled_up = below("counted").with_mode(ListMode::RollUp("ltx".into()));
    assert_eq!(entries(&bucket, rolled_up).await.unwrap().len(), 10);
    assert_eq!(proxy.requests().len(), 1);
    proxy.forget_requests();
    assert!(bucket.delete(names).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusts_is_refused_unless_the_user_says_otherwise() {
    let Some(server) = rclone_s3(&[BUCKETS[0]], true) else { return };
    let secure = request("x").with_value("endpoint", format!("https://{}", server.address()), "test");
    let refused = entries(&open(&secure).await, below("p")).await.unwrap_err();
    assert!(format!("{refused:?}").to_lowercase().contains("certificate"), "{refused:?}");
    let trusting = open(&secure.with_value("skip-verify", true, "test")).await;
    assert_eq!(entries(&trusting, below("p")).await.unwrap(), []);
}
