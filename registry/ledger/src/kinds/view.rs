//! How a view is read from tags and written into a draft.

use base::UnixSeconds;

use crate::{
    auth::Auth,
    event::{EventId, Kind, Sid, Tag, Tags},
};

/// What every event of the protocol has besides its own tags.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// When, by its author's word.
    pub created_at: UnixSeconds,
    /// In which subspace; tokens live in none.
    pub sid: Option<Sid>,
    /// What it allows itself to be.
    pub auth: Option<Auth>,
    /// The events it rests on.
    pub parents: Vec<EventId>,
    /// The text.
    pub content: String,
}

impl Operation {
    /// Returns the tags that stand before a view's own, in the specification's order.
    pub(super) fn tags_before(&self, kind: Kind) -> Tags {
        let mut tags = Tags::default();
        if let Some(auth) = &self.auth {
            tags.push(auth.tag());
        }
        if let Some(sid) = &self.sid {
            tags.push(Tag::pair("d", kind.d()));
            tags.push(Tag::pair("sid", sid.as_str()));
            if let Some(name) = kind.name().filter(|_| kind.d() == "subspace_op") {
                tags.push(Tag::pair("op", name));
            }
        }
        tags
    }

    /// Returns the tags that stand behind a view's own.
    pub(super) fn tags_behind(&self, tags: &mut Tags) {
        if !self.parents.is_empty() {
            let parents: Vec<String> = self.parents.iter().map(ToString::to_string).collect();
            tags.push(Tag::list("parent", parents.iter().map(String::as_str)));
        }
    }
}

/// Makes a view: a struct whose fields are tags.
///
/// `text` is the tag's first value. `list` is every value, split at commas, and is written as one text with commas;
/// `elements` is read alike, and is written as one element for each.
macro_rules! view {
    ($(#[$about:meta])* $name:ident = $kind:expr; $($(#[$doc:meta])* $field:ident: $form:ident,)*) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $($(#[$doc])* pub $field: view!(@type $form),)*
        }

        impl $name {
            /// Reads the view from an event's tags.
            pub fn read(tags: &$crate::event::Tags) -> Self {
                // A view without fields reads nothing.
                let _ = tags;
                Self { $($field: view!(@read $form, tags, stringify!($field)),)* }
            }

            /// Writes an event that says this.
            pub fn draft(&self, operation: $crate::kinds::Operation) -> $crate::event::Draft {
                let kind: $crate::event::Kind = $kind;
                let mut tags = operation.tags_before(kind);
                $(view!(@write $form, tags, stringify!($field), &self.$field);)*
                operation.tags_behind(&mut tags);
                let $crate::kinds::Operation { created_at, content, .. } = operation;
                $crate::event::Draft { created_at, kind, tags, content }
            }
        }
    };
    (@type text) => { Option<String> };
    (@type list) => { Vec<String> };
    (@type elements) => { Vec<String> };
    (@read text, $tags:ident, $name:expr) => { $tags.first($name).map(str::to_owned) };
    (@read list, $tags:ident, $name:expr) => { $tags.flattened($name) };
    (@read elements, $tags:ident, $name:expr) => { $tags.flattened($name) };
    (@write text, $tags:ident, $name:expr, $value:expr) => {
        if let Some(value) = $value {
            $tags.push($crate::event::Tag::pair($name, value));
        }
    };
    (@write list, $tags:ident, $name:expr, $value:expr) => {
        if !$value.is_empty() {
            $tags.push($crate::event::Tag::pair($name, &$value.join(",")));
        }
    };
    (@write elements, $tags:ident, $name:expr, $value:expr) => {
        if !$value.is_empty() {
            $tags.push($crate::event::Tag::list($name, $value.iter().map(String::as_str)));
        }
    };
}

pub(super) use view;
