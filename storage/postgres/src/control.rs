//! The control file `global/pg_control`: what state a cluster is in and where its last checkpoint is.
//!
//! The layout is that of `ControlFileData` in the Postgres sources (`src/include/catalog/pg_control.h`) on 64-bit
//! little-endian systems. From 14 to 18 the fields read here keep their place; 18 puts one byte before the
//! authentication nonce, which moves the checksum behind it.

mod crc;
mod lsn;

pub use lsn::{Lsn, LsnError};

/// What the cluster was doing when the control file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// Starting up.
    StartingUp,
    /// Shut down in good order.
    ShutDown,
    /// A standby, shut down in good order.
    ShutDownInRecovery,
    /// On its way to being shut down.
    ShuttingDown,
    /// Replaying after a crash.
    InCrashRecovery,
    /// Replaying from an archive or a primary.
    InArchiveRecovery,
    /// Running, or crashed while running.
    InProduction,
}

impl ClusterState {
    /// Whether the next start needs no replay after a crash.
    pub fn is_clean(self) -> bool {
        matches!(self, Self::ShutDown | Self::ShutDownInRecovery)
    }

    fn from_number(number: u32) -> Result<Self, ControlError> {
        Ok(match number {
            0 => Self::StartingUp,
            1 => Self::ShutDown,
            2 => Self::ShutDownInRecovery,
            3 => Self::ShuttingDown,
            4 => Self::InCrashRecovery,
            5 => Self::InArchiveRecovery,
            6 => Self::InProduction,
            other => return Err(ControlError::UnknownState(other)),
        })
    }
}

/// The parts of a control file that the product reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// Chosen by `initdb`; the same in every copy of a cluster.
    pub system_identifier: u64,
    /// The version of the control file's own layout.
    pub control_version: u32,
    /// The version of the system catalogs.
    pub catalog_version: u32,
    /// What the cluster was doing.
    pub state: ClusterState,
    /// Where the last checkpoint's record is.
    pub checkpoint: Lsn,
    /// Where replay from that checkpoint begins.
    pub redo: Lsn,
    /// The timeline of that checkpoint.
    pub timeline: u32,
    /// When that checkpoint was taken, in seconds since 1970.
    pub checkpoint_time: i64,
    /// How far replay must get before the data are consistent; zero unless in archive recovery.
    pub min_recovery_point: Lsn,
    /// Whether WAL may lack the content of new files (`wal_level = minimal`), as the server last ran.
    pub wal_is_minimal: bool,
    /// Bytes of a data page.
    pub block_size: u32,
    /// Pages of one segment file of a relation.
    pub blocks_per_segment: u32,
    /// Bytes of a WAL segment file.
    pub wal_segment_size: u32,
    /// Whether data pages carry checksums.
    pub data_checksums: bool,
    /// The checksum of all of it, which is another one after every start: the time of writing is in it.
    pub checksum: u32,
}

/// Why a control file cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// Fewer bytes than the layout has.
    #[error("the control file has only {0} bytes")]
    TooShort(usize),
    /// A layout of no supported major.
    #[error("the control file has layout {0}, which no Postgres from 14 to 18 writes")]
    UnknownLayout(u32),
    /// The checksum does not fit: the file is damaged or was read while it was being written.
    #[error("the control file is damaged: its checksum is {found:08x}, its content gives {computed:08x}")]
    Damaged {
        /// The checksum in the file.
        found: u32,
        /// The checksum of the content.
        computed: u32,
    },
    /// A state that no supported major knows.
    #[error("the control file names the unknown cluster state {0}")]
    UnknownState(u32),
}

/// Where the checksum lies in the layout with this number.
fn checksum_offset(layout: u32) -> Result<usize, ControlError> {
    match layout {
        // 14, 15 and 16; 17.
        1300 | 1700 => Ok(288),
        1800 => Ok(292),
        other => Err(ControlError::UnknownLayout(other)),
    }
}

impl ControlFile {
    /// Reads a control file's bytes.
    ///
    /// # Errors
    /// [`ControlError::Damaged`] if the checksum does not fit. A running server may be writing: read again once.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlError> {
        let field = Fields(bytes);
        let layout = field.u32(8)?;
        let end = checksum_offset(layout)?;
        let found = field.u32(end)?;
        let computed = crc::crc32c(&bytes[..end]);
        if found != computed {
            return Err(ControlError::Damaged { found, computed });
        }
        Ok(Self {
            system_identifier: field.u64(0)?,
            control_version: layout,
            catalog_version: field.u32(12)?,
            state: ClusterState::from_number(field.u32(16)?)?,
            checkpoint: Lsn(field.u64(32)?),
            redo: Lsn(field.u64(40)?),
            timeline: field.u32(48)?,
            checkpoint_time: field.u64(104)?.cast_signed(),
            min_recovery_point: Lsn(field.u64(136)?),
            wal_is_minimal: field.u32(172)? == 0,
            block_size: field.u32(216)?,
            blocks_per_segment: field.u32(220)?,
            wal_segment_size: field.u32(228)?,
            data_checksums: field.u32(252)? != 0,
            checksum: found,
        })
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], ControlError> {
        let part = self.0.get(at..at + N).and_then(|part| part.try_into().ok());
        part.ok_or(ControlError::TooShort(self.0.len()))
    }

    fn u32(&self, at: usize) -> Result<u32, ControlError> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize) -> Result<u64, ControlError> {
        self.array(at).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a control file that `initdb` of each major wrote, followed by zeros up to 8 KiB there.
    fn sample(name: &str) -> Vec<u8> {
        let hex = match name {
            "15" => include_str!("control/sample_15.hex"),
            "17" => include_str!("control/sample_17.hex"),
            _ => include_str!("control/sample_18.hex"),
        };
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn control_files_of_every_layout_are_read() {
        for (name, layout, catalog) in
            [("15", 1300, 202_209_061), ("17", 1700, 202_406_281), ("18", 1800, 202_506_291)]
        {
            let control = ControlFile::parse(&sample(name)).unwrap();
            assert_eq!((control.control_version, control.catalog_version), (layout, catalog));
            assert!(control.state.is_clean());
            assert_eq!(control.checkpoint, control.redo);
            assert_eq!((control.timeline, control.wal_segment_size), (1, 16 << 20));
            assert_eq!((control.block_size, control.blocks_per_segment), (8192, 131_072));
            assert_eq!(control.data_checksums, name == "18");
        }
    }

    #[test]
    fn values_agree_with_pg_controldata() {
        let control = ControlFile::parse(&sample("18")).unwrap();
        assert_eq!(control.system_identifier, 7_710_534_706_191_477_625);
        assert_eq!(control.redo.to_string(), "0/174B290");
    }

    #[test]
    fn one_flipped_bit_is_seen() {
        let mut bytes = sample("17");
        bytes[50] ^= 1;
        assert!(matches!(ControlFile::parse(&bytes), Err(ControlError::Damaged { .. })));
    }

    #[test]
    fn short_and_foreign_files_are_refused() {
        assert_eq!(ControlFile::parse(&[0; 5]), Err(ControlError::TooShort(5)));
        assert_eq!(ControlFile::parse(&sample("18")[..100]), Err(ControlError::TooShort(100)));
        let mut bytes = sample("15");
        bytes[8..12].copy_from_slice(&1201_u32.to_le_bytes());
        assert_eq!(ControlFile::parse(&bytes), Err(ControlError::UnknownLayout(1201)));
    }
}
