//! Files such as `.env`: one variable is set, and everything else stays byte for byte.

mod place;
mod text;

pub(crate) use place::{Contents, Place, Refusal};
pub(crate) use text::{Before, Fault, find, put_back, set};
