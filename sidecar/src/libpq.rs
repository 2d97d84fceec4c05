//! What programs that connect as libpq does take from their environment.

/// Variables that would lead libpq elsewhere, or make it demand what a loopback connection does not have.
pub(crate) const IN_THE_WAY: &[&str] = &[
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGPASSFILE",
    "PGHOSTADDR",
    "PGSSLNEGOTIATION",
    "PGREQUIRESSL",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGGSSENCMODE",
    "PGTARGETSESSIONATTRS",
];
