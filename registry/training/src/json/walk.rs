//! Walks through a document as it is parsed. Of lists other than the Trainer's logs nothing is kept.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Scalar, Scalars};
use crate::recorder::{Found, Recorder};

/// The list in which the Trainer keeps what it logged.
const HISTORY: &str = "log_history";
/// The most that is kept of what stands elsewhere.
const SCALARS_MAX: usize = 5_000;
const PATH_BYTES_MAX: usize = 400;
const TEXT_BYTES_MAX: usize = 4 << 10;

pub(super) struct Walk<'w> {
    recorder: &'w mut Recorder,
    scalars: &'w mut Scalars,
    has_history: &'w mut bool,
    path: String,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// Somewhere below the root.
    Below,
    /// The Trainer's list.
    History,
    /// One of its logs.
    Log,
    /// A list of arguments, as W&B keeps it.
    Arguments,
}

impl<'w> Walk<'w> {
    pub(super) fn root(
        recorder: &'w mut Recorder,
        scalars: &'w mut Scalars,
        has_history: &'w mut bool,
    ) -> Self {
        Self { recorder, scalars, has_history, path: String::new(), place: Place::Root }
    }

    fn below(&mut self, path: String, place: Place) -> Walk<'_> {
        Walk { recorder: self.recorder, scalars: self.scalars, has_history: self.has_history, path, place }
    }

    fn keep(self, value: Scalar) {
        match self.place {
            Place::Log => match value {
                Scalar::Number(number) => self.recorder.take(&self.path, Found::Number(number)),
                Scalar::Text(text) => self.recorder.take(&self.path, Found::Text(&text)),
            },
            Place::Root | Place::History => {}
            Place::Below | Place::Arguments => {
                let short = !matches!(&value, Scalar::Text(text) if text.len() > TEXT_BYTES_MAX);
                if short && self.scalars.len() < SCALARS_MAX && self.path.len() <= PATH_BYTES_MAX {
                    self.scalars.push((self.path, value));
                }
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.keep(Scalar::Number(value as f64));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.keep(Scalar::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.keep(Scalar::Number(value));
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.keep(Scalar::Text(text.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        match self.place {
            Place::History => {
                while list.next_element_seed(self.below(String::new(), Place::Log))?.is_some() {}
            }
            Place::Below if self.path == "args" => {
                let path = self.path.clone();
                while list.next_element_seed(self.below(path.clone(), Place::Arguments))?.is_some() {}
            }
            _ => while list.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let (path, place) = match self.place {
                Place::Root if name == HISTORY => {
                    *self.has_history = true;
                    self.recorder.picky = false;
                    (name, Place::History)
                }
                Place::Root => (name, Place::Below),
                Place::Below if self.path.len() <= PATH_BYTES_MAX => {
                    (format!("{}.{name}", self.path), Place::Below)
                }
                Place::Log if self.path.is_empty() => (name, Place::Log),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(self.below(path, place))?;
        }
        Ok(())
    }
}
