//! Filters and pages.

use std::sync::Arc;

use axum::http::HeaderValue;
use catalog::Listed;
use serde::Deserialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::view::ModelView;
use crate::{
    http::Problem,
    state::State,
    world::{Model, World},
};

/// How many models a page has, unless it is said.
const PAGE: u16 = 100;
const PAGE_MAX: u16 = 1000;

/// Which models to list; those that meet all of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Filed under this energy centre.
    chakra: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Under this licence, as the entry writes it; case does not matter.
    license: Option<String>,
    /// In this format, as the entry says or its file's name ends; case does not matter.
    format: Option<String>,
    /// In this state on this host.
    #[param(inline)]
    state: Option<State>,
    /// With this text in id, description or tags; case does not matter.
    q: Option<String>,
    /// How many models a page may have.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 100)]
    limit: PageSize,
    /// Where the page begins: the `next` of the page before it.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
struct PageSize(u16);

impl TryFrom<u16> for PageSize {
    type Error = String;

    fn try_from(count: u16) -> Result<Self, String> {
        let fits = (1..=PAGE_MAX).contains(&count);
        fits.then_some(Self(count)).ok_or_else(|| format!("limit is 1 to {PAGE_MAX}, not {count}"))
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(PAGE)
    }
}

/// Some of the models, in the order of their ids.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "a page is written model by model; this is its shape")]
pub(super) struct Page {
    /// The models of this page.
    pub(super) models: Vec<ModelView>,
    /// How many models meet the filters, on all pages.
    pub(super) total: u64,
    /// The cursor of the next page; null on the last.
    pub(super) next: Option<String>,
}

/// One model that is known here, or that is asked for in vain.
#[derive(Clone, Copy)]
pub(super) enum Row<'w> {
    Known(&'w Arc<Model>),
    /// Its id, and what to say about it.
    Missing(&'w str, &'w str),
}

/// What meets the filters.
pub(super) struct Found<'w> {
    page: Vec<Row<'w>>,
    total: usize,
    pub(super) next: Option<&'w str>,
}

/// Looks through all models.
pub(super) fn find<'w>(world: &'w World, filters: &Filters) -> Found<'w> {
    let wording = filters.q.as_ref().map(|it| it.to_lowercase());
    let known = world.models.values().filter(|it| filters.take(it, wording.as_deref())).map(Row::Known);
    let mut rows = known.collect::<Vec<_>>();
    let missing = world.missing.iter().filter(|(id, _)| !world.models.contains_key(id.as_str()));
    let missing = missing.filter(|(id, _)| filters.take_missing(id, wording.as_deref()));
    rows.extend(missing.map(|(id, why)| Row::Missing(id, why)));
    rows.sort_by_key(Row::id);
    let total = rows.len();
    let begin =
        filters.cursor.as_ref().map_or(0, |cursor| rows.partition_point(|it| it.id() <= cursor.as_str()));
    let mut page = rows.split_off(begin);
    let size = usize::from(filters.limit.0);
    let has_more = page.len() > size;
    page.truncate(size);
    let next = page.last().filter(|_| has_more).map(Row::id);
    Found { page, total, next }
}

/// Writes a page out of models that are mostly written already.
pub(super) fn write(world: &World, found: &Found<'_>) -> Result<Vec<u8>, Problem> {
    let bodies = found.page.iter().map(|row| super::written(world, *row));
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    let next = serde_json::to_string(&found.next).map_err(|error| Problem::internal(&error.into()))?;
    let mut page = Vec::with_capacity(bodies.iter().map(|it| it.body.len() + 1).sum::<usize>() + 128);
    page.extend_from_slice(b"{\"models\":[");
    for (at, written) in bodies.iter().enumerate() {
        if at > 0 {
            page.push(b',');
        }
        page.extend_from_slice(&written.body);
    }
    page.extend_from_slice(format!("],\"total\":{},\"next\":{next}}}", found.total).as_bytes());
    Ok(page)
}

impl<'w> Row<'w> {
    /// Finds one model.
    pub(super) fn of(world: &'w World, id: &str) -> Option<Self> {
        let missing = || world.missing.get_key_value(id).map(|(id, why)| Self::Missing(id, why));
        world.models.get(id).map(Self::Known).or_else(missing)
    }

    fn id(&self) -> &'w str {
        match self {
            Self::Known(model) => model.id.as_str(),
            Self::Missing(id, _) => id,
        }
    }
}

impl Filters {
    fn take(&self, model: &Model, wording: Option<&str>) -> bool {
        if self.state.is_some_and(|it| it != model.state) {
            return false;
        }
        let asks_entry = [&self.chakra, &self.tag, &self.license, &self.format].iter().any(|it| it.is_some());
        match &model.listed {
            Some(listed) => self.take_entry(listed, wording),
            None => !asks_entry && wording.is_none_or(|it| model.id.as_str().contains(it)),
        }
    }

    fn take_entry(&self, listed: &Listed, wording: Option<&str>) -> bool {
        let entry = &listed.entry;
        let is = |asked: &Option<String>, found: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(found);
        is(&self.chakra, &|it| entry.chakra().as_deref() == Some(it))
            && is(&self.tag, &|it| entry.tags().contains(&it))
            && is(&self.license, &|it| entry.license.as_str().eq_ignore_ascii_case(it))
            && is(&self.format, &|it| has_format(listed, it))
            && wording.is_none_or(|it| {
                let is_in = |text: &str| text.to_lowercase().contains(it);
                is_in(entry.id.as_str())
                    || entry.description().is_some_and(is_in)
                    || entry.tags().into_iter().any(is_in)
            })
    }

    fn take_missing(&self, id: &str, wording: Option<&str>) -> bool {
        let asks_entry = [&self.chakra, &self.tag, &self.license, &self.format].iter().any(|it| it.is_some());
        let is_state = self.state.is_none_or(|it| it == State::Missing);
        is_state && !asks_entry && wording.is_none_or(|it| id.to_lowercase().contains(it))
    }

    /// Returns the header that leads to the page after a cursor.
    pub(super) fn link(&self, cursor: &str) -> Option<HeaderValue> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let texts = [
            ("chakra", self.chakra.as_deref()),
            ("tag", self.tag.as_deref()),
            ("license", self.license.as_deref()),
            ("format", self.format.as_deref()),
            ("state", self.state.map(State::name)),
            ("q", self.q.as_deref()),
        ];
        query.extend_pairs(texts.iter().filter_map(|(key, value)| Some((key, (*value)?))));
        query.append_pair("limit", &self.limit.0.to_string()).append_pair("cursor", cursor);
        HeaderValue::try_from(format!("</v1/models?{}>; rel=\"next\"", query.finish())).ok()
    }
}

fn has_format(listed: &Listed, asked: &str) -> bool {
    let artifact = &listed.entry.artifact;
    let claimed = artifact.format.as_ref().is_some_and(|it| it.as_str().eq_ignore_ascii_case(asked));
    let ending = artifact.filename.as_str().rsplit_once('.').map(|it| it.1);
    claimed || ending.is_some_and(|it| it.eq_ignore_ascii_case(asked))
}
