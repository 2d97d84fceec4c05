//! An upstream that tests can switch, hold up and count.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use offshoot_endpoint::{Connecting, Pulse, Target, Upstream, UpstreamError};
use tokio::sync::{Notify, watch};

pub struct Switch {
    to: Mutex<Result<(u64, PathBuf), UpstreamError>>,
    /// Connections wait while this is true.
    pub asleep: watch::Sender<bool>,
    /// How many calls of connect are under way.
    pub waking: Arc<watch::Sender<usize>>,
    /// How many guards are alive.
    pub open: Arc<watch::Sender<usize>>,
    pub calls: AtomicUsize,
    /// Of every target.
    pub pulse: Arc<Pulse>,
    /// Notified at the first beat.
    pub beaten: Arc<Notify>,
    /// How often the number of connections changed.
    pub changes: AtomicUsize,
}

/// Counts from its making to its drop.
struct Counted(Arc<watch::Sender<usize>>);

impl Counted {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Switch {
    pub fn new(key: u64, socket: &Path) -> Arc<Self> {
        let beaten = Arc::new(Notify::new());
        Arc::new(Self {
            to: Mutex::new(Ok((key, socket.to_path_buf()))),
            asleep: watch::Sender::new(false),
            waking: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(0)),
            calls: AtomicUsize::new(0),
            pulse: Arc::new(Pulse::new(Arc::clone(&beaten))),
            beaten,
            changes: AtomicUsize::new(0),
        })
    }

    pub fn lead_to(&self, key: u64, socket: &Path) {
        *self.to.lock().unwrap() = Ok((key, socket.to_path_buf()));
    }

    pub fn refuse(&self, error: UpstreamError) {
        *self.to.lock().unwrap() = Err(error);
    }
}

impl Upstream for Switch {
    fn connect<'a>(&'a self, _user: &'a str) -> Connecting<'a> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let to = self.to.lock().unwrap().clone();
            let _waking = Counted::new(&self.waking);
            self.asleep.subscribe().wait_for(|asleep| !asleep).await.unwrap();
            let (key, socket) = to?;
            let pulse = Arc::clone(&self.pulse);
            let guard = Box::new(Counted::new(&self.open));
            Ok(Target { key, socket, log_in_as: None, guard, pulse })
        })
    }

    fn connections_changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until the count is `wanted`; fails after half a minute.
pub async fn until(count: &watch::Sender<usize>, wanted: usize) {
    let mut count = count.subscribe();
    let wait = count.wait_for(|&count| count == wanted);
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .expect("the count never came")
        .unwrap();
}
