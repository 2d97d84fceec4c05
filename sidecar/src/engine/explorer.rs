//! Whole schemas in pieces.

use std::sync::Arc;

use offshoot_protocol::explorer::{FactsParams, FactsPiece};

use super::schemas::Current;
use super::server::Call;
use super::{Engine, branches, schema};
use crate::failure::Result;

/// Bytes of a piece. As JSON it may grow to six times as much, which is still short enough for a message.
const PIECE_BYTES: usize = 160 << 10;

/// `schema/facts`.
pub(super) async fn facts(engine: &Arc<Engine>, params: FactsParams, call: &Call) -> Result<FactsPiece> {
    let id = branches::named(engine, &params.branch).await?;
    call.progress("reading the schema", 0, Some(1));
    let current = if params.wake {
        Some(call.or_cancelled(schema::schema(engine, id, &params.branch)).await?)
    } else {
        call.or_cancelled(schema::present(engine, id)).await?
    };
    let Some(Current { facts, revision }) = current else {
        return Ok(FactsPiece { asleep: true, revision: 0, text: String::new(), next: None });
    };
    let empty = FactsPiece { asleep: false, revision, text: String::new(), next: None };
    if params.known == Some(revision) || params.revision.is_some_and(|other| other != revision) {
        return Ok(empty);
    }
    engine
        .blocking(move |_| {
            let (text, next) = piece(&facts.to_text(), params.offset);
            Ok(FactsPiece { text, next, ..empty })
        })
        .await
}

/// The piece of `text` from `offset`, and where the next one begins.
fn piece(text: &str, offset: u64) -> (String, Option<u64>) {
    let start = text.ceil_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX).min(text.len()));
    let end = text.floor_char_boundary((start + PIECE_BYTES).min(text.len()));
    (text[start..end].to_owned(), (end < text.len()).then_some(end as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_and_split_no_letter() {
        let text = "größe 🌱 ".repeat(60_000);
        let (mut whole, mut at) = (String::new(), Some(0));
        while let Some(offset) = at {
            let (text, next) = piece(&text, offset);
            assert!(!text.is_empty() && text.len() <= PIECE_BYTES);
            whole.push_str(&text);
            at = next;
        }
        assert_eq!(whole, text);
        assert_eq!(piece("", 0), (String::new(), None));
        assert_eq!(piece("ab", 9), (String::new(), None));
    }
}
