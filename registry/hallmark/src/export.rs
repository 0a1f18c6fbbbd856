//! What the log knows of a model, in the words of other tools.

pub(crate) mod openlineage;
pub(crate) mod vsa;
