//! What rules gave branches, left out of a comparison.

use offshoot_protocol::policy::Given;

use super::reading::Read;
use super::side::{Side, Sides};
use crate::cli::args::{Counted, DiffArgs};
use crate::failure::Result;
use crate::given;

/// What rules gave the branches of both sides.
pub(super) struct Both {
    from: Given,
    to: Given,
}

/// Nothing if it is to count.
pub(super) fn of(args: &DiffArgs, sides: &mut Sides, [from, to]: [&Side; 2]) -> Result<Both> {
    if args.count.contains(&Counted::Given) {
        return Ok(Both { from: Given::default(), to: Given::default() });
    }
    Ok(Both { from: sides.given(from)?, to: sides.given(to)? })
}

impl Both {
    /// Takes it out. `third` is compared with both.
    pub(super) fn leave_out(&self, from: &mut Read, to: &mut Read, third: Option<&mut Read>) {
        let mut others: Vec<_> = third.map(|third| &mut third.facts).into_iter().collect();
        given::leave_out(&self.from, &mut from.facts, &mut to.facts, &mut others);
        given::leave_out(&self.to, &mut to.facts, &mut from.facts, &mut others);
    }
}
