//! The last part of the document.

/// How each figure is measured.
pub(crate) const HOW: &str = "## How each is measured

Everything runs the program in `target/release`, its engine and a real Postgres with the engine's own settings, in a temporary
folder on the file system above. Parents are awake, with connections, and have a small committed change since the last branch.

- **Branch create**: `offshoot branch create` from spawning the program to its end, on two repositories in turn. Their databases
  were loaded by `offshoot init --from` and consist of tables of 1 KB rows.
- **First query**: the same, then the address of the branch, then a new connection through the endpoint and one row by its primary
  key. The branch's Postgres starts in between. The address comes from the engine's socket, or from `offshoot url --branch`.
- **Wake**: the branch is put to sleep by a clean shutdown. Then from the TCP connect to the answer of the first query. `fsync` is
  asked of the server and has to be on.
- **A moment**: before each run a snapshot is taken, and 52 to 64 MiB of WAL are written by scattered updates and inserts: at 64 MiB the engine takes a snapshot
  by itself. `offshoot branch create --at` with the position in the WAL then, from spawning the program to its end; and on to a row by its key over
  a new connection. What the branch has is compared with what was there then.
- **Checkout**: from the end of `git checkout` to the answer of a query on a new connection to the worktree's endpoint that comes
  from the branch that was checked out. A connection that fails, or that still leads to the old branch, is followed by another.
  Once more in a repository with 2,000 git branches, 200 of which have a database branch.
- **Stall**: pgbench (TPC-B, scale 10, 4 clients) through the parent's endpoint, with a line for each transaction. Ten times during
  a run a branch is created, or a bare `CHECKPOINT` is made, or nothing happens; the three kinds of run in turn. The figure is the longest
  transaction of a run.
- **Disk**: right after a checkpoint of the parent. What `offshoot branch list` says, and independently of it the disk usage of the
  branch's folder and how much the folder of all layers grew.
- **CPU per transaction**: user and system time of the postmaster, its children and those that have ended, divided by pgbench's
  transactions (scale 20, 4 clients, 2 threads). One server is a branch of a branch that lived through ten freezes; the other is a plain
  Postgres with the same programs and the same settings, `wal_recycle=off` and `wal_init_zero=off` included, that went through the same
  transactions. Both have `shared_buffers=16MB` and `autovacuum=off`, are reached by unix socket, and start each run with a checkpoint. Runs
  alternate. The figure is the median of the ratios of the pairs, because what others do to the machine hits both of a pair.
- **Memory**: `Rss` and `Pss` of the engine's process while every branch sleeps.
- **Two schemas**: `offshoot diff --stat` as a whole command, of two awake branches with a thousand tables each; in turn with two runs of
  `pg_dump --schema-only` at once, whose lines are compared.
- **Migrations**: files as dbmate has them, all of them in its table on `main`; each further branch has one more of them pending. `migrations status
  --all --json` as a whole command: with an engine that has just started, again without a change, and with another text of one file before each run.
- **Many branches**: a project gets its branches from a running parent that changes a little before each twenty-fifth of them. Fifty are
  awake, with their Postgres running. A second project beside it has ten branches, none of them awake but the parent. Each command runs on the one
  and on the other in turn; the figure is the median of the ratios. Processes are those below the engine that listen for a branch.
- **Relation files**: tables with a `text` column, so that each has a file, a TOAST file and its index, loaded by `offshoot init --from`; or
  made in the running branch right before it is branched, so that all of them are in its top layer and none is on the disk.
- **Changed pages**: an awake branch of 150 MB updates one row in every hundredth page (or tenth, or thousandth), scattered over the table,
  then writes a checkpoint. What its writable layer grew by, as the file system counts, is divided by the bytes of those pages. *In
  place*: the pages have room, and the new row goes beside the old one. *Moved*: they are full, so that the new row goes to another page and the
  key's index changes too.
- **Scan**: `SELECT sum(length(…))` over a table of 200 MB, by one process, after the files of both servers were let go from memory
  (`posix_fadvise`) and both servers were started anew; in turn on the branch and on a plain Postgres. Both had the same fifty rounds of scattered
  updates with a checkpoint after each; the branch was frozen after each, by a branch that is then deleted for good, and the
  engine had time to merge. The note says how many layers were left.
- **Import**: `offshoot init --physical`, `pg_basebackup -c fast` and `offshoot init` by `pg_dump`, in turn, from the same running server by its socket; each
  from its start to its end, with what it syncs. Bytes are what the store, or the backup, has on the disk then.
- **Beside others**: the copies are of a database with the same rows. `cp` copies the data directory of a stopped server; the copy's own server is
  started for the first query. `TEMPLATE` copies one database within a server that runs. XFS lies on an image of its own, in a file on the file system
  above, through a loop device. mitosis-db runs with its data there, as a user without rights, on the same Postgres. Bytes on XFS
  are what its free space shrank by after `sync`; on the other file system what `du` counts. Of ours they are what `branch list` says.
";
