//! Points at which a test kills the engine, or a Postgres meanwhile, to see that the store heals. Only with the feature `crash-points`; without
//! it [`crash_point!`] is nothing and this module is empty.
//!
//! The list below is the only registry: code can name no other point, and the test `crash_points` goes through all of
//! them and fails for one that its operation does not pass.

/// Ends the process here, as a kill does, if a test has asked for it.
macro_rules! crash_point {
    ($point:ident) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::pass($crate::crash::CrashPoint::$point);
    };
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    macro_rules! points {
        ($($operation:ident { $($point:ident: $when:literal,)+ })+) => {
            /// What passes a point.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum Operation {
                $(#[doc = concat!("Passes the points whose name begins with `", stringify!($operation), "`.")] $operation,)+
            }

            /// A point at which the engine can be killed; named by when that is.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum CrashPoint {
                $($(#[doc = $when] $point,)+)+
            }

            impl CrashPoint {
                /// All points with the operation that passes each, in the order in which they are passed.
                pub const ALL: &[(Operation, Self)] = &[$($((Operation::$operation, Self::$point),)+)+];
            }
        };
    }

    points! {
        // A branch of an awake parent with much WAL.
        Create {
            CreateReserved: "A number is reserved.",
            CreateCheckpointed: "The parent has written its checkpoint.",
            CreateFolderMade: "The child has an empty folder.",
            CreateImageCopied: "The child has the small files and the WAL of the parent.",
            CloneWalHeld: "Clones: the parent's WAL is held by links, and nothing else is there.",
            CloneDataDone: "Clones: all files are cloned but the WAL and the control file.",
            CloneControlWritten: "Clones: every file is there; none is known to be on the disk.",
            CloneSnapshotTaken: "Clones: a snapshot of the subvolume is there, with what belongs to the running server.",
            FreezeLayerMade: "The parent's new top layer has a folder.",
            FreezeLayerCommitted: "The parent's new top layer is in the metadata, and none of its processes knows it.",
            FreezeGateClosed: "Every process of the parent stands still.",
            FreezeImageFinished: "The child's files are as of now; the gate is closed.",
            FreezeStackSwapped: "The parent's processes have the new top layer; the gate is closed.",
            FreezeGateOpened: "The parent goes on.",
            CreateImageGiven: "The child's files are its Postgres's.",
            CreateTopMade: "The child's top layer has a folder.",
            CreateStackCommitted: "The child has a stack, and no row.",
            CreateRowWritten: "The child's row is written, and not committed.",
            CreateCommitted: "The child exists.",
        }
        // In the background, after a branch was made.
        Settle {
            SettleLayerSynced: "A frozen layer is on the disk, and the metadata do not know it.",
            SettleLayerMarked: "A frozen layer is known to be on the disk.",
            SettleFolderSynced: "The child's folder is on the disk, and the metadata do not know it.",
            SettleDone: "The child is known to be on the disk.",
        }
        Wake {
            WakeLayerSynced: "The top layer of a branch that must recover is on the disk.",
            WakeControlWritten: "The control block is there, and no Postgres.",
            WakeStarted: "Postgres runs, and the engine has not noted it.",
        }
        // The first wake of a branch.
        Snapshot {
            SnapshotReserved: "A number for what the branch is now is reserved.",
            SnapshotImageCopied: "A copy of the branch's small files and WAL is in a folder of its own.",
            SnapshotTopMade: "The branch's Postgres is starting; the copy has a folder for its top layer.",
            SnapshotWritten: "The copy's stack and row are written, and not committed.",
            SnapshotCommitted: "The copy is the branch's fork point, and nobody has the branch's Postgres noted.",
        }
        Reset {
            ResetStopped: "The branch sleeps.",
            ResetTrashed: "The old state is in the trash, and nothing is committed.",
            ResetCommitted: "The branch is back at its parent's present.",
        }
        // Back to a snapshot.
        Restore {
            RestoreStopped: "The branch sleeps.",
            RestoreTrashed: "The old state is in the trash, and nothing is committed.",
            RestoreCommitted: "The branch is what it was at the snapshot.",
        }
        // Back to a moment.
        Rewind {
            RewindStopped: "The moment is replayed in a throwaway; the branch sleeps.",
            RewindTrashed: "The old state is in the trash, and nothing is committed.",
            RewindCommitted: "The branch is what it was at the moment; the throwaway is there.",
        }
        // New data for the root branch.
        Refresh {
            RefreshLoading: "The Postgres of the new root takes its data, beside the store's branches.",
            RefreshSeedCopied: "What the seed made is copied for the next time, and has not its name.",
            RefreshSeedKept: "It is kept; the new root has a password that nobody knows.",
            RefreshLayersMoved: "The layers of the new root are in their place, its folder is not.",
            RefreshWritten: "The files of the new root are in their place, the old root is in the trash, and nothing is committed.",
            RefreshCommitted: "The new root is the root; the folder that it was made in is there.",
        }
        // Following a source.
        Follow {
            FollowWritten: "The name of the slot is written down, and there is none.",
            FollowCommitted: "The standby exists; it has never run.",
            FollowStarted: "The Postgres of the standby starts.",
            FollowFetched: "The standby has replayed what the source has.",
            FollowForked: "A fork of the standby is there.",
            FollowPlaced: "The fresh root is in its place, and nothing is committed.",
            FollowRootCommitted: "The fresh root is the root; the one before is in the trash.",
            FollowSlotDropped: "The slot is gone; the standby is there.",
        }
        Rename {
            RenameWritten: "The new name is written, and not committed.",
            RenameCommitted: "The branch has its new name.",
        }
        Delete {
            DeleteStopped: "The branch sleeps.",
            DeleteWritten: "The branch is in the trash, and nothing is committed.",
            DeleteCommitted: "The branch is in the trash.",
        }
        Undo {
            UndoStopped: "The present state of a branch that was reset sleeps.",
            UndoWritten: "The states are swapped, and nothing is committed.",
            UndoCommitted: "The old state is back.",
        }
        Purge {
            PurgeWritten: "What was in the trash is forgotten, and nothing is committed.",
            PurgeCommitted: "What was in the trash is forgotten; its files are there.",
            PurgeOneRemoved: "A layer or branch that nobody needs is gone, and others are not.",
        }
        // A line of branches after their trash was emptied.
        Merge {
            MergePagesCopied: "The pages of a file are copied; the maps are as before.",
            MergeDataLinked: "The lower layer has the upper one's data file and its own map.",
            MergeMapAbsorbed: "The lower map says what both say; it is not on the disk.",
            MergeFileDone: "A file is in the lower layer, on the disk.",
            MergeWhiteoutTaken: "A deleted file is deleted in the lower layer, and its data are there.",
            MergeFileLinked: "The lower layer has the data of a file, and no map of it or an old one.",
            MergeSynced: "All of the upper layer is in the lower one, on the disk; every stack has both.",
            MergeCommitted: "The stacks in the metadata are shorter; processes have the old ones.",
            MergeSwapped: "Processes have the new stack; the upper layer's files are there.",
            MergeUpperRemoved: "The upper layer's files are gone.",
        }
        // A line of branches that all live.
        Window {
            WindowFileCopied: "A file is in the new layer, which no stack has.",
            WindowSynced: "The new layer is complete and on the disk; no stack has it.",
        }
        // A branch as of a moment.
        Past {
            PastReserved: "A number for what a moment is replayed in is reserved.",
            PastWalGiven: "A throwaway has the snapshot's files and the WAL since, and no row.",
            PastThrowawayMade: "The throwaway exists, and nothing is replayed.",
            PastPromoted: "All is replayed, and Postgres runs.",
            PastReplayed: "All is replayed; the throwaway sleeps, and the branch is not made.",
        }
        // A branch of a bundle.
        Carry {
            CarryMade: "A throwaway over the base exists, with nothing in it.",
            CarryPagesWritten: "It has the pages and the small files, which are not on the disk.",
            CarryRecovered: "Postgres runs on it, with another store's password.",
            CarryOwned: "It is this store's own, asleep, and no branch is made of it.",
            CarryWritten: "The branch is written, and not committed.",
            CarryCommitted: "The branch exists; the throwaway is there.",
        }
        // The first start after one that ended in the middle of a fork.
        Open {
            OpenOrphansStopped: "Servers that were left running are stopped.",
            OpenRecovered: "What belongs to nobody is removed.",
        }
    }

    /// One more than the number of the point to die at; 0 for none.
    static ARMED: AtomicUsize = AtomicUsize::new(0);

    /// Lets this process kill itself with `SIGKILL` when it passes `point`.
    pub fn die_at(point: CrashPoint) {
        ARMED.store(point as usize + 1, Ordering::SeqCst);
    }

    type Action = Box<dyn FnOnce() + Send>;

    /// What is done at the armed point instead of dying.
    static ACTION: Mutex<Option<Action>> = Mutex::new(None);

    /// Does `action` when this process passes `point` for the first time, and goes on.
    pub fn act_at(point: CrashPoint, action: impl FnOnce() + Send + 'static) {
        *ACTION.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
        ARMED.store(point as usize + 1, Ordering::SeqCst);
    }

    pub(crate) fn pass(point: CrashPoint) {
        if ARMED.load(Ordering::SeqCst) == point as usize + 1 {
            let action = ACTION.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(action) = action {
                ARMED.store(0, Ordering::SeqCst);
                return action();
            }
            // SAFETY: a signal to this process; no memory is touched.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(feature = "crash-points")]
pub(crate) use armed::pass;
#[cfg(feature = "crash-points")]
pub use armed::{CrashPoint, Operation, act_at, die_at};
