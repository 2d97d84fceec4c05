//! Test builds only: numbered points at which a process of Postgres can end itself as if it were killed.
//!
//! The interposer sets the hook where a test has asked for it. In a release build [`pass`] is nothing. The list below is the only
//! registry; the test `interposer_points` goes through all of it and fails for one that is not passed.

macro_rules! points {
    ($($point:ident: $when:literal,)+) => {
        /// A point within the interposer; named by what has just been done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Point {
            $(#[doc = $when] $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point,)+];
        }
    };
}

points! {
    GateEntered: "The process counts as being in the middle of an operation.",
    StackRead: "The process has the branch's new stack; its open files have the old one.",
    DescriptorReplaced: "A descriptor leads to the file of the new layer; the process reads by the old one's map.",
    OverMapWritten: "A file of a lower layer gets a part in the top layer: its map is written beside.",
    OverDataMade: "Its data file is there, empty.",
    OverMapRenamed: "Its map is in place; no process knows.",
    CreateMapWritten: "A new file: its map is written beside.",
    CreateDataMade: "Its data file is there.",
    CreateMapRenamed: "Its map is in place; no process knows.",
    PageWritten: "A page is in the data file, and the map does not own it.",
    PageOwned: "The map owns the page; the length is the old one.",
    FileGrown: "The length is the new one; Postgres is not told.",
    RoomAllocated: "The data file has room; the length is the old one. From PostgreSQL 16 on.",
    SyncDataDone: "The pages are on the disk; the durable copy of the map does not know.",
    SyncPublished: "The durable copy says so in memory.",
    SyncWritten: "The durable copy is on the disk; the counters do not know.",
    TruncateBegun: "The counter says that a truncation is under way.",
    TruncateMapCut: "The map is cut, the data file is not.",
    WhiteoutWritten: "A file is deleted that lower layers have: the whiteout is written beside.",
    WhiteoutRenamed: "The whiteout is in place; the pages of the top layer are there.",
    UnlinkMapGone: "A file is deleted that only the top layer has: its map is gone, its pages are there.",
    UnlinkMarked: "Those who have the file open know that it is deleted; no other process does.",
    UnlinkDone: "The pages are gone; other processes do not know.",
}

/// Ends the process at a point, or does nothing.
pub type Hook = fn(Point);

#[cfg(debug_assertions)]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Sets the hook of this process, once.
#[cfg(debug_assertions)]
pub fn set_hook(hook: Hook) {
    let _ = HOOK.set(hook);
}

/// The process passes a point.
#[cfg(debug_assertions)]
pub fn pass(point: Point) {
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
}

/// The process passes a point: nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn pass(_point: Point) {}
