//! How to compare and plan, as the command line says it.

use offshoot_schema::{PlanOptions, Renames};

use crate::cli::args::{Counted, DiffArgs};
use crate::failure::{Failure, Result};

/// What a line has to look like.
const FORM: &str = "Write it as `table public.old -> new` or `column public.table.old -> new`; `offshoot diff` prints such lines for \
    what looks like a rename.";

/// The options of a plan.
pub(super) fn of(args: &DiffArgs) -> Result<PlanOptions> {
    let mut options = PlanOptions { online: args.online, renames: renames(args)?, ..PlanOptions::default() };
    let counts = |what: Counted| args.count.contains(&what);
    options.noise.column_order = counts(Counted::ColumnOrder);
    options.noise.extension_patches = counts(Counted::ExtensionPatches);
    options.noise.collation_versions = counts(Counted::CollationVersions);
    options.noise.populated = counts(Counted::Populated);
    options.noise.grant_order = counts(Counted::GrantOrder);
    options.noise.roles = counts(Counted::Roles);
    Ok(options)
}

fn renames(args: &DiffArgs) -> Result<Renames> {
    let mut renames = Renames::default();
    for file in &args.renames {
        let shown = file.display();
        let text =
            std::fs::read_to_string(file).map_err(|e| Failure::user(format!("cannot read {shown}: {e}")))?;
        let more =
            Renames::parse(&text).map_err(|error| Failure::user(format!("{shown}: {error}")).hint(FORM))?;
        if more.is_empty() {
            let message =
                format!("{shown} confirms no rename: no line of it begins with `-- offshoot:rename`");
            return Err(Failure::user(message).hint(FORM));
        }
        renames.extend(more);
    }
    for text in &args.rename {
        renames
            .add(text)
            .map_err(|error| Failure::user(format!("--rename {text:?}: {}", error.what)).hint(FORM))?;
    }
    Ok(renames)
}

/// Why renames cannot be.
pub(super) fn refused(reasons: &[String]) -> Failure {
    Failure::user(format!("cannot {}", reasons.join("; "))).hint(FORM)
}
