//! Objects, keys and times.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_empty_hex_path_keep_their_leading_slash() {
    let Some(server) = server() else { return };
    let bucket = open(&request(server.address()).with_value("bucket", BUCKETS[1], "test")).await;
    let absolute = key("/0000/a.ltx");
    bucket.write(WriteRequest::new(absolute.clone(), TIME), Body::from_bytes("slash")).await.unwrap();
    let (_, body) = bucket.read(ReadRequest::whole(absolute.clone())).await.unwrap();
    assert_eq!(body.collect(100).await.unwrap(), "slash");
    assert_eq!(bucket.stat(&absolute).await.unwrap().time, Time::Exact(TIME));
    assert_eq!(shown(entries(&bucket, below("/0000")).await.unwrap()), ["/0000/a.ltx"]);
    bucket.delete(vec![absolute.clone()]).await.unwrap().remove(0).unwrap();
    assert_eq!(bucket.stat(&absolute).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_parts_is_one_object_with_its_time() {
    let Some(server) = server() else { return };
    let bucket = open(&request(server.address())).await;
    let content: Bytes = (0..13u32 << 20).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    let asked = WriteRequest::new(key("parts"), TIME).with_buffer(20 << 20);
    let written = bucket.write(asked, Body::from_bytes(content.clone())).await.unwrap();
    let seen = bucket.stat(&key("parts")).await.unwrap();
    assert_eq!((seen.size, seen.time, &seen.version), (13 << 20, Time::Exact(TIME), &written.version));
    let (info, body) = bucket.read(ReadRequest::range(key("parts"), (5 << 20) - 3, 6)).await.unwrap();
    assert_eq!(body.collect(100).await.unwrap(), content.slice((5 << 20) - 3..(5 << 20) + 3));
    assert_eq!(info, Some(seen), "the answer describes the whole object");
}

/// An upload that ends early takes its parts with it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_upload_that_was_given_up() {
    let Some(server) = server() else { return };
    let request = request(server.address());
    let context = Context::without_host();
    let bucket = S3Plugin::open(configure::options::<S3Plugin>(&request).unwrap(), context.clone()).await.unwrap();
    let broken =
        futures::stream::iter([Ok(Bytes::from(vec![7; 12 << 20])), Err(StorageError::permanent("the source broke"))]);
    let asked = WriteRequest::new(key("given-up"), TIME).with_buffer(15 << 20);
    let failed = bucket.write(asked, Body::new(broken)).await.unwrap_err();
    assert_eq!(failed.message, "the source broke");
    context.finish_cleaning(std::time::Duration::from_secs(60)).await;
    let call = crate::client::bucket(Method::GET, "uploads").query("uploads", "").query("prefix", "given-up");
    let (_, answer) = client(&request).ask(call).await.unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    assert!(!answer.contains("UploadId>"), "{answer}");
    assert_eq!(bucket.stat(&key("given-up")).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
}

/// An object without our metadata, as other programs write it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_written_time_the_servers_counts() {
    let Some(server) = server() else { return };
    let request = request(server.address());
    client(&request).ask(object(Method::PUT, "foreign/a").body("x")).await.unwrap();
    let bucket = open(&request).await;
    let stat = bucket.stat(&key("foreign/a")).await.unwrap();
    assert!(matches!(stat.time, Time::Server(_)), "{stat:?}");
    let listed = entries(&bucket, below("foreign")).await.unwrap();
    assert!(matches!(&listed[..], [Entry::Object(info)] if matches!(info.time, Time::Server(_))), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_found_also_at_the_prefix_itself_and_a_server_without_long_delimiters_is_noticed() {
    let Some(seaweed) = server() else { return };
    let Some(rclone) = rclone_s3(&[BUCKETS[0]], false) else { return };
    for (server, rolls_up) in [(seaweed, true), (&rclone, false)] {
        let bucket = open(&request(server.address())).await;
        for name in ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/x/b.db/ltx/0/1", "t/ltx/0/1", "t/ltx/9/1", "t/note"] {
            bucket.write(WriteRequest::new(key(name), TIME), Body::from_bytes("x")).await.unwrap();
        }
        let rolled_up = below("t").with_mode(ListMode::RollUp("ltx".into()));
        if !rolls_up {
            let refused = entries(&bucket, rolled_up).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::UNSUPPORTED, "{refused}");
            continue;
        }
        let mut found = shown(entries(&bucket, rolled_up.clone()).await.unwrap());
        found.sort();
        assert_eq!(found, ["t/a.db/ltx/", "t/ltx/", "t/note", "t/x/b.db/ltx/"]);
        let after = rolled_up.with_start_after(key("t/a.db/ltx/0/1")).with_limit(1);
        assert_eq!(shown(entries(&bucket, after).await.unwrap()).len(), 1);
    }
}

/// A key of one's own is sent with every request for content, and never to people.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_key_goes_with_every_request_for_content() {
    use base64::Engine;
    let Some(server) = server() else { return };
    let secret = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let asked = request(server.address()).with_value("sse-customer-key", secret.clone(), "test");
    let bucket = open(&asked).await;
    for (name, size) in [("sse/small", 9), ("sse/parts", 11 << 20)] {
        let asked = WriteRequest::new(key(name), TIME).with_buffer(15 << 20);
        bucket.write(asked, Body::from_bytes(vec![3; size])).await.unwrap();
        assert_eq!(bucket.stat(&key(name)).await.unwrap().size, size as u64);
        let (_, body) = bucket.read(ReadRequest::whole(key(name))).await.unwrap();
        assert_eq!(body.collect(u64::MAX).await.unwrap().len(), size);
        let copy = format!("{name}-copy");
        CopyRequest::new(key(name), key(&copy)).send(&bucket).await.unwrap();
        let (_, body) = bucket.read(ReadRequest::whole(key(&copy))).await.unwrap();
        assert_eq!(body.collect(u64::MAX).await.unwrap(), vec![3; size]);
        assert_eq!(bucket.stat(&key(&copy)).await.unwrap().time, Time::Exact(TIME));
    }
    let without = open(&request(server.address())).await;
    let refused = without.read(ReadRequest::whole(key("sse/small"))).await.map(drop).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains(&secret));
    let configured = format!("{:?}", configure::configure::<S3Plugin>(&asked));
    assert!(!configured.contains(&secret), "{configured}");
}

/// Some stores refuse one or the other.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_work_without_signed_payload_and_without_md5() {
    let Some(server) = server() else { return };
    for (signed, md5) in [(false, true), (true, false), (false, false)] {
        let asked = request(server.address()).with_value("sign-payload", signed, "test");
        let bucket = open(&asked.with_value("require-content-md5", md5, "test")).await;
        for (name, size) in [("plain/small", 9), ("plain/parts", 11 << 20)] {
            let asked = WriteRequest::new(key(name), TIME).with_buffer(15 << 20);
            bucket.write(asked, Body::from_bytes(vec![3; size])).await.unwrap();
            assert_eq!(bucket.stat(&key(name)).await.unwrap().size, size as u64);
        }
        let gone = bucket.delete(vec![key("plain/small"), key("plain/parts")]).await.unwrap();
        assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    }
}
