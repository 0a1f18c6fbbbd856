//! The records of a run log, as far as they matter here. The numbers are those of W&B's own `wandb_internal.proto`.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    #[prost(message, optional, tag = "2")]
    pub(super) history: Option<History>,
    #[prost(message, optional, tag = "3")]
    pub(super) summary: Option<Items>,
    #[prost(message, optional, tag = "5")]
    pub(super) config: Option<Items>,
    #[prost(message, optional, tag = "17")]
    pub(super) run: Option<Run>,
    #[prost(message, optional, tag = "18")]
    pub(super) exit: Option<Exit>,
    #[prost(message, optional, tag = "26")]
    pub(super) environment: Option<Environment>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(super) item: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Items {
    #[prost(message, repeated, tag = "1")]
    pub(super) update: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Item {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) nested_key: Vec<String>,
    #[prost(string, tag = "16")]
    pub(super) value_json: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Run {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "4")]
    pub(super) config: Option<Items>,
    #[prost(message, optional, tag = "21")]
    pub(super) git: Option<Git>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Git {
    #[prost(string, tag = "1")]
    pub(super) remote_url: String,
    #[prost(string, tag = "2")]
    pub(super) commit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exit {
    #[prost(int32, tag = "2")]
    pub(super) runtime: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Environment {
    #[prost(string, tag = "1")]
    pub(super) os: String,
    #[prost(string, tag = "2")]
    pub(super) python: String,
    #[prost(string, repeated, tag = "5")]
    pub(super) args: Vec<String>,
    #[prost(string, tag = "6")]
    pub(super) program: String,
    #[prost(string, tag = "7")]
    pub(super) code_path: String,
    #[prost(string, tag = "8")]
    pub(super) code_path_local: String,
    #[prost(message, optional, tag = "9")]
    pub(super) git: Option<Git>,
    #[prost(string, tag = "18")]
    pub(super) gpu_type: String,
    #[prost(uint32, tag = "19")]
    pub(super) gpu_count: u32,
}

impl Item {
    pub(super) fn name(&self) -> String {
        if self.nested_key.is_empty() { self.key.clone() } else { self.nested_key.join(".") }
    }
}
