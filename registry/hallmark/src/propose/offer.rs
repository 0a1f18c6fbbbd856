//! What is proposed: the entry, the index with it, and what was checked about them.

use std::sync::Arc;

use catalog::{Contract, Hashed, Index, Listed, Report, Severity, git::Standing};
use proposal::review::{Check, Verdict};

use super::{
    Arguments, all_hold,
    checks::{checksums, schema_and_rules},
    nix,
    report::Ending,
    route::Route,
};
use crate::{add, out};

/// A proposal in the making. Made anew only where the index that it is for has changed.
pub(super) struct Offer<'a> {
    arguments: &'a Arguments,
    contract: &'a Contract,
    base: Vec<u8>,
    text: String,
    /// The entry as it stands in the text.
    source: String,
    /// Those of the files, which cost the most: kept as long as the entry is the same.
    fetched: Option<(Arc<Listed>, Vec<Check>)>,
    checks: Vec<Check>,
}

impl<'a> Offer<'a> {
    pub(super) fn new(arguments: &'a Arguments, contract: &'a Contract) -> Self {
        let (base, text, checks) = (Vec::new(), String::new(), Vec::new());
        Self { arguments, contract, base, text, source: String::new(), fetched: None, checks }
    }

    /// Makes the entry and the index with it. Returns how it ends if the entry cannot be made.
    pub(super) fn make(&mut self, base: &[u8]) -> anyhow::Result<Option<Ending>> {
        if self.base == base {
            return Ok(None);
        }
        let draft = add::draft(&self.arguments.facts, base, self.contract)?;
        if !draft.is_complete() {
            return Ok(Some(Ending::Incomplete { draft: Box::new(draft) }));
        }
        for remark in &draft.remarks {
            out::note(remark);
        }
        self.text = catalog::edit::put(base, &draft.entry, self.contract)?.text;
        self.base = base.to_vec();
        Ok(None)
    }

    /// Returns the index with the entry in it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the entry as it stands there. Known once it has been checked.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Returns what was checked.
    pub(super) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Returns the index that it is for, if that holds.
    pub(super) fn base_index(&self) -> Option<Index> {
        catalog::check(&self.base, self.contract).index
    }

    /// Checks all that can be checked. Returns the entry, or how it ends if something does not hold.
    pub(super) fn hold(
        &mut self,
        route: &Route,
        arguments: &Arguments,
        standing: &Standing,
    ) -> anyhow::Result<Result<Arc<Listed>, Ending>> {
        let id = &arguments.facts.id;
        let found = Hashed::of(self.text.clone().into_bytes());
        let checked = catalog::check_again(found, self.contract, None);
        let Some(listed) = checked.index.as_ref().and_then(|it| it.entry(id)).cloned() else {
            return Ok(Err(self.refused(checked.report)));
        };
        checked.index.as_ref().and_then(|it| it.source(id)).unwrap_or_default().clone_into(&mut self.source);
        let (own, holds) = schema_and_rules(&checked.report, id, arguments.facts.allow_stub);
        if !holds {
            return Ok(Err(self.refused(only(checked.report, id.as_str()))));
        }
        let files = match self.fetched.take().filter(|it| it.0.entry.artifact == listed.entry.artifact) {
            Some((_, files)) => files,
            None if arguments.checks.skip_checksum => {
                let detail =
                    "by --skip-checksum: nobody has compared the bytes behind the URL with the entry";
                vec![Check::new("checksum", Verdict::Skipped, detail)]
            }
            None => checksums(&route.config, &listed, &route.state)?,
        };
        self.fetched = Some((Arc::clone(&listed), files.clone()));
        let attribute = arguments.checks.nix_eval.as_ref().or(route.config.propose.nix_eval.as_ref());
        self.checks = vec![own];
        self.checks.extend(files);
        self.checks.extend(nix::evaluate(route, standing, self.text(), id, attribute.map(String::as_str))?);
        if all_hold(&self.checks) {
            Ok(Ok(listed))
        } else {
            Ok(Err(Ending::Unproven { id: id.to_string(), checks: self.checks.clone() }))
        }
    }

    fn refused(&self, report: Report) -> Ending {
        Ending::DoesNotHold { text: self.text.clone(), report: Box::new(report) }
    }
}

/// Leaves what is wrong with one entry, and what refuses the index as a whole.
fn only(mut report: Report, id: &str) -> Report {
    report.flaws.retain(|it| it.severity == Severity::Error || it.model.as_deref() == Some(id));
    report
}
