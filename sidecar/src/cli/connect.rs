//! The engine, for somebody at a terminal.

use offshoot_protocol::Client;

use super::output::Output;
use crate::failure::Result;
use crate::project::Project;
use crate::session::{self, Host};

pub(super) use crate::session::{Session, try_connect};

impl Host for Output {
    fn say(&self, text: &str) {
        self.aside(text);
    }
}

/// Connects to the engine of `project`, starting or replacing it if need be.
pub(super) fn connect(project: &Project, output: Output) -> Result<Client> {
    session::connect(project, &output)
}
