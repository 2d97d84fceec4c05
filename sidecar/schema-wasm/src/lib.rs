//! [`offshoot_schema`] and [`offshoot_summary`] for JavaScript, by wasm-bindgen.
//!
//! Schemas come as the text that `offshoot schema export` writes. Results with a structure are JSON texts, so that they are byte
//! for byte those of the native program; their types are in the declarations that are built along.

use offshoot_schema::{Facts, Kind, Object, PlanOptions, changes, plan};
use offshoot_summary::{Filter, Side, Sides};
use wasm_bindgen::prelude::*;

/// The types of what the JSON texts hold.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("../../../extension/src/protocol/summary.ts");

/// Two schemas, and the one that they have in common if it is known.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Comparison {
    mine: (String, Facts),
    theirs: (String, Facts),
    fork: Option<Facts>,
}

#[wasm_bindgen]
impl Comparison {
    /// Reads the schemas of the branch `mine`, of its parent `theirs`, and of the parent when the branch was made.
    ///
    /// # Errors
    /// Which text cannot be read, with the line.
    #[wasm_bindgen(constructor)]
    pub fn new(
        mine_name: String,
        mine: &str,
        theirs_name: String,
        theirs: &str,
        fork: Option<String>,
    ) -> Result<Self, JsError> {
        Self::read(mine_name, mine, theirs_name, theirs, fork.as_deref()).map_err(|why| JsError::new(&why))
    }

    /// The objects that the branch has otherwise than its parent: JSON, a list of `{ object, kind }`.
    pub fn changes(&self) -> String {
        json(&changes(&self.theirs.1, &self.mine.1))
    }

    /// The plan that makes the schema of `theirs` into that of `mine`: JSON with `parts` and `unplanned`.
    pub fn plan(&self, online: bool) -> String {
        json(&self.planned(online))
    }

    /// The plan as a script.
    pub fn sql(&self, online: bool) -> String {
        self.planned(online).sql()
    }

    /// The summary as a document of what `filter` shows: JSON of a `Filter`, or an empty text.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn document(&self, filter: &str) -> Result<String, JsError> {
        self.document_text(filter).map_err(|why| JsError::new(&why))
    }

    /// The summary as a picture of what `filter` shows: JSON of a `Picture`.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn picture(&self, filter: &str) -> Result<String, JsError> {
        self.picture_json(filter).map_err(|why| JsError::new(&why))
    }

    /// An object of `mine` as SQL; absent if there is none.
    pub fn definition(&self, kind: &str, schema: Option<String>, name: String) -> Option<String> {
        definition(&self.mine.1, kind, schema, name)
    }

    /// An object of `theirs` as SQL; absent if there is none.
    #[wasm_bindgen(js_name = theirDefinition)]
    pub fn their_definition(&self, kind: &str, schema: Option<String>, name: String) -> Option<String> {
        definition(&self.theirs.1, kind, schema, name)
    }
}

/// What does not need JavaScript; the tests compare it with the above.
impl Comparison {
    /// As [`Comparison::new`].
    ///
    /// # Errors
    /// Which text cannot be read, with the line.
    pub fn read(
        mine_name: String,
        mine: &str,
        theirs_name: String,
        theirs: &str,
        fork: Option<&str>,
    ) -> Result<Self, String> {
        let facts =
            |text: &str, of: &str| Facts::from_text(text).map_err(|why| format!("the schema of {of}: {why}"));
        let (mine, theirs) = (facts(mine, &mine_name)?, facts(theirs, &theirs_name)?);
        let fork = fork.map(|text| facts(text, "the fork point")).transpose()?;
        Ok(Self { mine: (mine_name, mine), theirs: (theirs_name, theirs), fork })
    }

    /// As [`Comparison::document`].
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn document_text(&self, filter: &str) -> Result<String, String> {
        Ok(offshoot_summary::document(&self.sides(), &read_filter(filter)?))
    }

    /// As [`Comparison::picture`].
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn picture_json(&self, filter: &str) -> Result<String, String> {
        Ok(json(&offshoot_summary::picture(&self.sides(), &read_filter(filter)?)))
    }

    fn sides(&self) -> Sides<'_> {
        Sides {
            mine: Side { name: &self.mine.0, facts: &self.mine.1 },
            theirs: Side { name: &self.theirs.0, facts: &self.theirs.1 },
            fork: self.fork.as_ref(),
        }
    }

    fn planned(&self, online: bool) -> offshoot_schema::Plan {
        plan(&self.theirs.1, &self.mine.1, &PlanOptions { online, ..PlanOptions::default() })
    }
}

fn definition(facts: &Facts, kind: &str, schema: Option<String>, name: String) -> Option<String> {
    let kind = Kind::parse(kind)?;
    facts.definition(&Object { kind, schema, name })
}

fn read_filter(text: &str) -> Result<Filter, String> {
    if text.is_empty() {
        return Ok(Filter::default());
    }
    serde_json::from_str(text).map_err(|why| format!("the filter is not one: {why}"))
}

/// All that is written here can be JSON: its keys are strings.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
