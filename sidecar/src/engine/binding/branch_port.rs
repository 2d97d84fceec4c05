//! Addresses of single branches, which lead there whatever is checked out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_endpoint::{Endpoint, Upstream};
use offshoot_storage::BranchId;

use super::seat::close;
use super::task::Task;
use crate::engine::book::Book;
use crate::engine::ports;
use crate::engine::upstream::BranchUpstream;
use crate::failure::Result;

/// A branch's own address.
pub(super) struct BranchSeat {
    port: u16,
    pub(super) endpoint: Option<Arc<Endpoint>>,
    /// The branch's id, which a reset changes.
    target: Arc<AtomicU64>,
}

impl Task {
    /// The port of branch `id`, made at the first call.
    pub(super) async fn branch_port(&mut self, id: BranchId, name: &str) -> Result<u16> {
        if let Some(seat) = self.branches.get(&id) {
            return if seat.endpoint.is_some() { Ok(seat.port) } else { Err(ports::taken(seat.port)) };
        }
        let (stored, except) = self
            .engine
            .blocking(move |engine| {
                let book = Book(&engine.store);
                Ok((book.branch_ports()?.into_iter().find(|(of, _)| *of == id), book.taken_ports()?))
            })
            .await?;
        // Stored but not open: the branch came back from the trash.
        if let Some((_, port)) = stored {
            self.open_branch_port(id, port).await;
            if self.branches.get(&id).is_some_and(|seat| seat.endpoint.is_some()) {
                return Ok(port);
            }
        }
        let target = Arc::new(AtomicU64::new(id.0));
        let upstream: Arc<dyn Upstream> =
            Arc::new(BranchUpstream::new(Arc::clone(&self.engine), Arc::clone(&target)));
        let name = format!("{}:{name}", self.engine.repository.common_dir.display());
        let endpoint = ports::listen_anywhere(&name, &except, &upstream, &self.options).await?;
        let port = endpoint.port();
        self.engine.blocking(move |engine| Book(&engine.store).set_branch_port(id, Some(port))).await?;
        self.branches.insert(id, BranchSeat { port, endpoint: Some(Arc::new(endpoint)), target });
        Ok(port)
    }

    pub(super) async fn open_branch_port(&mut self, id: BranchId, port: u16) {
        let target = Arc::new(AtomicU64::new(id.0));
        let upstream = Arc::new(BranchUpstream::new(Arc::clone(&self.engine), Arc::clone(&target)));
        let endpoint = self.listen(port, upstream).await.map(Arc::new);
        self.branches.insert(id, BranchSeat { port, endpoint, target });
    }

    /// Gives the port of `old` to `new`, or closes it.
    pub(super) async fn replace_branch_port(&mut self, old: BranchId, new: Option<BranchId>) {
        let Some(seat) = self.branches.remove(&old) else { return };
        let port = seat.port;
        match new {
            Some(new) => {
                seat.target.store(new.0, Ordering::Release);
                self.branches.insert(new, seat);
                let moved = self.engine.blocking(move |engine| {
                    Book(&engine.store).set_branch_port(new, Some(port))?;
                    Book(&engine.store).set_branch_port(old, None)
                });
                if let Err(failure) = moved.await {
                    tracing::warn!(error = %failure, "cannot note a branch's port");
                }
            }
            // The port stays noted: an undo brings it back with the branch.
            None => {
                if let Some(endpoint) = seat.endpoint {
                    tokio::spawn(close(endpoint));
                }
            }
        }
    }

    /// Tries ports again that were taken.
    pub(super) async fn retry_branch_ports(&mut self) {
        let taken: Vec<_> = self
            .branches
            .iter()
            .filter(|(_, seat)| seat.endpoint.is_none())
            .map(|(id, seat)| (*id, seat.port))
            .collect();
        for (id, port) in taken {
            self.open_branch_port(id, port).await;
        }
    }
}
