//! The requests `offshoot/bundle/*`.

use std::path::Path;

use offshoot_protocol::bundle::{
    Bundle, BundleApplied, BundleApplyParams, BundleCreateParams, BundleCreated, EditorBundleApplyParams,
    EditorBundleCreateParams, EditorBundleParams,
};
use offshoot_protocol::method as m;
use offshoot_storage::read_bundle_facts;
use tower_lsp_server::jsonrpc;

use super::job::{self, About, Work};
use super::server::Backend;
use crate::draft::Draft;
use crate::engine::bundle;
use crate::failure::Result;

impl Backend {
    pub(super) async fn bundle_create(
        &self,
        params: EditorBundleCreateParams,
    ) -> jsonrpc::Result<BundleCreated> {
        let about = About {
            folder: params.folder.clone(),
            title: Some(format!("Writing a bundle of {}", params.branch)),
            branch: Some(params.branch.clone()),
            token: params.work_done_token.clone(),
            ..About::default()
        };
        job::run(&self.shared, about, move |work| create(work, params)).await
    }

    pub(super) async fn bundle_read(&self, params: EditorBundleParams) -> jsonrpc::Result<Bundle> {
        let EditorBundleParams { folder, file } = params;
        job::run(&self.shared, About { folder, ..About::default() }, move |_| {
            Ok(bundle::on_the_wire(read_bundle_facts(&mut bundle::open(&file)?)?, None))
        })
        .await
    }

    pub(super) async fn bundle_apply(
        &self,
        params: EditorBundleApplyParams,
    ) -> jsonrpc::Result<BundleApplied> {
        let EditorBundleApplyParams { folder, file, name, override_rules, work_done_token } = params;
        let about = About {
            folder,
            title: Some(format!("Making {name} of a bundle")),
            token: work_done_token,
            ..About::default()
        };
        let params = BundleApplyParams { file, name: Some(name), root: false, override_rules };
        job::run(&self.shared, about, move |work| work.call::<m::BundleApply>(&params)).await
    }
}

/// The editor's dialog has asked whether a file may be replaced.
fn create(work: &Work, params: EditorBundleCreateParams) -> Result<BundleCreated> {
    // It has what the database has.
    let draft = Draft::begin(Path::new(&params.file), true)?.for_its_owner()?;
    let file = draft.path().to_string_lossy().into_owned();
    let made =
        work.call::<m::BundleCreate>(&BundleCreateParams { branch: params.branch, file, full: params.full })?;
    draft.finish()?;
    Ok(made)
}
