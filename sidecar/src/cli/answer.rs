//! `offshoot answer`.

use offshoot_protocol::method::WorktreeAnswer;
use offshoot_protocol::types::{Answer, AnswerParams};

use super::args::Word;
use super::connect::Session;
use super::output::Output;
use super::status;
use crate::failure::Result;

pub(super) fn run(word: Word, output: Output) -> Result<u8> {
    let answer = match word {
        Word::Create => Answer::Create,
        Word::Parent => Answer::UseParent,
        Word::Never => Answer::Never,
        Word::Ask => Answer::AskAgain,
        Word::Dismiss => Answer::Dismiss,
        Word::Snapshot => Answer::Snapshot,
    };
    let mut session = Session::open(output)?;
    let path = session.path();
    let status = session.call::<WorktreeAnswer>(&AnswerParams { path, answer })?;
    status::show(status, false, output)
}
