//! The methods of the language server protocol.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offshoot_protocol::editor::{EditorOptions, TrustParams};
use offshoot_protocol::method as m;
use offshoot_protocol::{Method, Notification};
use tower_lsp_server::jsonrpc::Result;
use tower_lsp_server::ls_types::{
    CodeActionParams, CodeActionProviderCapability, CodeActionResponse, CodeLens, CodeLensOptions,
    CodeLensParams, CompletionOptions, CompletionParams, CompletionResponse, DidChangeTextDocumentParams,
    DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, DidSaveTextDocumentParams, Hover, HoverParams, HoverProviderCapability,
    InitializeParams, InitializeResult, InitializedParams, OneOf, ServerCapabilities, ServerInfo,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, WorkspaceFolder,
    WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};
use tower_lsp_server::{Client, ClientSocket, LanguageServer, LspService};

use super::Shared;
use super::actor::Message;

/// One editor.
pub(super) struct Backend {
    pub(super) shared: Arc<Shared>,
    client: Mutex<Option<Client>>,
    polite: Arc<AtomicBool>,
}

/// The service, its socket, and whether the editor said goodbye.
pub(super) fn service(shared: &Arc<Shared>) -> (LspService<Backend>, ClientSocket, Arc<AtomicBool>) {
    let polite = Arc::new(AtomicBool::new(false));
    let build = LspService::build(|client| Backend {
        shared: Arc::clone(shared),
        client: Mutex::new(Some(client)),
        polite: Arc::clone(&polite),
    });
    let (service, socket) = build
        .custom_method(m::EditorInit::NAME, Backend::init)
        .custom_method(m::EditorGetPostgres::NAME, Backend::postgres)
        .custom_method(m::EditorCreate::NAME, Backend::create)
        .custom_method(m::EditorDelete::NAME, Backend::delete)
        .custom_method(m::EditorRename::NAME, Backend::rename)
        .custom_method(m::EditorReset::NAME, Backend::reset)
        .custom_method(m::EditorUndo::NAME, Backend::undo)
        .custom_method(m::EditorGetLog::NAME, Backend::log)
        .custom_method(m::EditorProtect::NAME, Backend::protect)
        .custom_method(m::EditorExpire::NAME, Backend::expire)
        .custom_method(m::EditorWake::NAME, Backend::wake)
        .custom_method(m::EditorSleep::NAME, Backend::sleep)
        .custom_method(m::EditorAnswer::NAME, Backend::answer)
        .custom_method(m::EditorGetUrl::NAME, Backend::url)
        .custom_method(m::EditorGetDefinition::NAME, Backend::definition)
        .custom_method(m::EditorGetObjects::NAME, Backend::objects)
        .custom_method(m::EditorGetParts::NAME, Backend::parts)
        .custom_method(m::EditorGetSummary::NAME, Backend::summary)
        .custom_method(m::EditorGetFacts::NAME, Backend::facts)
        .custom_method(m::EditorMigrationsGetStatus::NAME, Backend::migrations_status)
        .custom_method(m::EditorMigrationsApply::NAME, Backend::migrations_apply)
        .custom_method(m::EditorMigrationsGetRan::NAME, Backend::migrations_ran)
        .custom_method(m::EditorMigrationsUndo::NAME, Backend::migrations_undo)
        .custom_method(m::EditorMigrationsCheck::NAME, Backend::migrations_check)
        .custom_method(m::EditorMigrationsGetDrift::NAME, Backend::migrations_drift)
        .custom_method(m::EditorMigrationsRehearse::NAME, Backend::migrations_rehearse)
        .custom_method(m::EditorMigrationsCreate::NAME, Backend::migrations_new)
        .custom_method(m::EditorPromote::NAME, Backend::promote)
        .custom_method(m::EditorBundleCreate::NAME, Backend::bundle_create)
        .custom_method(m::EditorBundleRead::NAME, Backend::bundle_read)
        .custom_method(m::EditorBundleApply::NAME, Backend::bundle_apply)
        .custom_method(m::EditorGetLogFiles::NAME, Backend::log_files)
        .custom_method(m::EditorGetDiagnostics::NAME, Backend::diagnostics)
        .custom_method(m::EditorRestartEngine::NAME, Backend::restart)
        .custom_method(m::EditorRefresh::NAME, Backend::refresh)
        .custom_method(m::EditorTrustNotification::NAME, Backend::trust)
        .finish();
    (service, socket, polite)
}

impl Backend {
    async fn trust(&self, params: TrustParams) {
        if params.trusted {
            self.tell(Message::Trusted).await;
        }
    }

    /// Tells the actor, which never waits for the editor.
    async fn tell(&self, message: Message) {
        // Fails when the server ends.
        let _ = self.shared.actor.send(message).await;
    }
}

/// The folders of an editor that knows of several, or of one.
fn folders(params: &InitializeParams) -> Vec<WorkspaceFolder> {
    #[expect(deprecated, reason = "older editors send nothing else")]
    let root = params.root_uri.clone();
    let single = || {
        root.into_iter().map(|uri| {
            let name = uri.as_str().rsplit('/').next().unwrap_or_default().to_owned();
            WorkspaceFolder { uri, name }
        })
    };
    params.workspace_folders.clone().unwrap_or_else(|| single().collect())
}

impl LanguageServer for Backend {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let folders = folders(&params);
        // An editor that says nothing is not trusted.
        let options: EditorOptions = params
            .initialization_options
            .and_then(|options| serde_json::from_value(options).ok())
            .unwrap_or_default();
        self.tell(Message::Begin { folders, trusted: options.trusted }).await;
        let sync = TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::FULL),
            ..TextDocumentSyncOptions::default()
        };
        let workspace = WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            file_operations: None,
        };
        Ok(InitializeResult {
            server_info: Some(ServerInfo {
                name: "offshoot".to_owned(),
                version: Some(crate::VERSION.to_owned()),
            }),
            capabilities: ServerCapabilities {
                text_document_sync: Some(TextDocumentSyncCapability::Options(sync)),
                code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
                code_action_provider: Some(CodeActionProviderCapability::Simple(true)),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                completion_provider: Some(CompletionOptions {
                    trigger_characters: Some(vec!["\"".to_owned(), "=".to_owned(), "[".to_owned()]),
                    ..CompletionOptions::default()
                }),
                workspace: Some(workspace),
                ..ServerCapabilities::default()
            },
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _params: InitializedParams) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(client) = client {
            let outbox = Arc::clone(&self.shared.outbox);
            tokio::spawn(async move { outbox.send_all(client).await });
        }
    }

    async fn shutdown(&self) -> Result<()> {
        self.polite.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        self.tell(Message::Folders { added: params.event.added, removed: params.event.removed }).await;
    }

    async fn did_change_watched_files(&self, _params: DidChangeWatchedFilesParams) {
        self.shared.migrations.touch(&self.shared, None);
        self.tell(Message::Touched).await;
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let document = params.text_document;
        self.shared.migrations.set(&self.shared, &document.uri, document.text.clone());
        self.shared.documents.set(document.uri, document.version, document.text);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        // Full sync: the last change is the whole text.
        if let Some(change) = params.content_changes.into_iter().last() {
            self.shared.migrations.set(&self.shared, &params.text_document.uri, change.text.clone());
            self.shared.documents.set(params.text_document.uri, params.text_document.version, change.text);
        }
    }

    async fn did_save(&self, _params: DidSaveTextDocumentParams) {
        self.shared.migrations.touch(&self.shared, None);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.shared.migrations.close(&params.text_document.uri);
        self.shared.documents.close(&self.shared, &params.text_document.uri);
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let at = params.text_document_position_params;
        let uri = &at.text_document.uri;
        let known = self.shared.documents.hover(uri, at.position);
        Ok(known.or_else(|| self.shared.migrations.hover(uri, at.position)))
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        Ok(Some(self.shared.migrations.lenses(&params.text_document.uri)))
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(Some(self.shared.migrations.actions(&params.text_document.uri, params.range)))
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let at = params.text_document_position;
        let items = self.shared.documents.complete(&at.text_document.uri, at.position);
        Ok(Some(CompletionResponse::Array(items)))
    }
}
