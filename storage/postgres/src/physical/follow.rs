//! What has to be asked of a source that is followed, and its replication slot.

use std::time::Duration;

use super::connection::Connection;
use super::{PhysicalError, source};
use crate::control::Lsn;
use crate::load::Address;

/// How long the source may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The SQLSTATE for a slot that is there already.
const IS_THERE: &str = "42710";

/// What a source is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its major.
    pub major: u32,
    /// What `initdb` chose; another cluster has another one.
    pub system: u64,
    /// The timeline that it writes.
    pub timeline: u32,
    /// The end of its WAL.
    pub end: Lsn,
    /// Whether it is a standby itself, where it tells: then it may be behind one that answered there before.
    pub is_standby: bool,
    /// Its `max_slot_wal_keep_size`, where it tells; `-1` is no limit.
    pub slot_limit: Option<String>,
    /// Its `max_prepared_transactions`, where it tells.
    pub prepared: Option<String>,
}

/// Looks at the source at `url`, over a replication connection of its own.
///
/// # Errors
/// Whatever keeps it from answering; none has the password in it.
pub fn see(url: &str) -> Result<Seen, PhysicalError> {
    let mut connection = open(url)?;
    let major = source::major(&connection)?;
    let rows = connection.query("IDENTIFY_SYSTEM")?;
    let row = rows.into_iter().next().unwrap_or_default();
    let column = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let unread = || PhysicalError::Damaged { what: "the source does not say which system it is".to_owned() };
    let seen = Seen {
        major,
        system: column(0).parse().map_err(|_| unread())?,
        timeline: column(1).parse().map_err(|_| unread())?,
        end: column(2).parse().map_err(|_| unread())?,
        is_standby: connection.show("in_hot_standby")?.as_deref() == Some("on"),
        slot_limit: connection.show("max_slot_wal_keep_size")?,
        prepared: connection.show("max_prepared_transactions")?,
    };
    connection.close();
    Ok(seen)
}

/// Where the timelines before `timeline` ended at the source: each with the position at which the next one begins.
///
/// # Errors
/// As [`see`].
pub fn history(url: &str, timeline: u32) -> Result<Vec<(u32, Lsn)>, PhysicalError> {
    let mut connection = open(url)?;
    let rows = connection.query(&format!("TIMELINE_HISTORY {timeline}"))?;
    connection.close();
    let text = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
    Ok(ends(&text))
}

/// The lines of a history: a timeline, a position, and why it ended.
fn ends(history: &str) -> Vec<(u32, Lsn)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    history.lines().filter_map(line).collect()
}

/// The WAL of the source on `timeline`, from one position up to another, a little of it: where the timeline ends, less. No slot is used.
///
/// # Errors
/// As [`see`]; [`PhysicalError::WalRemoved`] if the source has it no more.
pub fn read_wal(url: &str, timeline: u32, from: Lsn, to: Lsn) -> Result<Vec<u8>, PhysicalError> {
    let mut connection = open(url)?;
    connection.send_query(&format!("START_REPLICATION PHYSICAL {from} TIMELINE {timeline}"))?;
    let wanted = to.0.saturating_sub(from.0) as usize;
    let mut wal = Vec::with_capacity(wanted);
    while wal.len() < wanted {
        let frame = connection.next_raw()?;
        match (frame[0], frame.get(5)) {
            // A header of 5 bytes, a letter, where this begins, where the source's WAL ends, and the time.
            (b'd', Some(b'w')) => wal.extend_from_slice(frame.get(30..).unwrap_or_default()),
            // The timeline ends here.
            (b'c' | b'C' | b'Z', _) => break,
            (b'E', _) => {
                return Err(connection.refusal_in(&frame).unwrap_or(PhysicalError::Damaged {
                    what: "the source refuses without a word".to_owned(),
                }));
            }
            _ => {}
        }
    }
    // It would go on for ever.
    connection.cut();
    wal.truncate(wanted);
    Ok(wal)
}

/// Makes the slot `name` at the source, which keeps its WAL from now on. One of this name that is there stays.
///
/// # Errors
/// As [`see`]; [`PhysicalError::NoSlots`] if there is no room for one.
pub fn create_slot(url: &str, name: &str) -> Result<(), PhysicalError> {
    let mut connection = open(url)?;
    let made = make_slot(&mut connection, name);
    connection.close();
    made
}

pub(super) fn make_slot(connection: &mut Connection, name: &str) -> Result<(), PhysicalError> {
    match connection.query(&format!("CREATE_REPLICATION_SLOT {name} PHYSICAL RESERVE_WAL")) {
        Err(PhysicalError::Refused { code, .. }) if code == IS_THERE => Ok(()),
        other => other.map(drop),
    }
}

/// Removes the slot `name` at the source. One that is not there is no error.
///
/// # Errors
/// As [`see`].
pub fn drop_slot(url: &str, name: &str) -> Result<(), PhysicalError> {
    let mut connection = open(url)?;
    // Whoever used it last may still be about to leave.
    let dropped = connection.query(&format!("DROP_REPLICATION_SLOT {name} WAIT"));
    connection.close();
    match dropped {
        Err(PhysicalError::SlotLost { .. }) => Ok(()),
        other => other.map(drop),
    }
}

fn open(url: &str) -> Result<Connection, PhysicalError> {
    let connection = Connection::open(&Address::parse(url))?;
    connection.be_patient(PATIENCE)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_tells_where_timelines_ended() {
        let text = "1\t0/3000148\tno recovery target specified\n\n2\t1/16B3748\tbefore 2026-01-01\n";
        assert_eq!(ends(text), [(1, Lsn(0x0300_0148)), (2, Lsn(0x1_016B_3748))]);
    }
}
