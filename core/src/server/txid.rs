//! `GET /txid?path=`: how far a database is.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

#[derive(Serialize)]
pub(super) struct TxidAnswer {
    txid: u64,
}

pub(super) async fn txid(
    State(control): State<Arc<Control>>,
    RawQuery(query): RawQuery,
) -> Result<Answer<TxidAnswer>, Refusal> {
    let path = request::path(request::query_value(query.as_deref(), "path").as_deref(), &control.environment)?;
    match control.fleet.status(&path) {
        Some(row) => Ok(Answer(TxidAnswer { txid: row.txid.0 })),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "database not found")),
    }
}
