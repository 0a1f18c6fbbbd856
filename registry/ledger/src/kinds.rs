//! The kinds of events that the protocol declares: what each says in its tags, read tolerantly and written strictly.
//!
//! - The kind decides what an event is; its `op` tag is informative, and [`warnings`] says where the two differ.
//! - Nothing here refuses an event. What a tag should have said and did not is `None`, and the tag stays as signed.

mod content;
mod conversation;
mod governance;
mod model;
mod session;
mod space;
#[cfg(test)]
mod tests;
mod token;
mod view;

pub use self::{
    content::{DatasetContent, Description, Generate, Message, Sample},
    conversation::{Chain, Conversation, Interaction, Link, chain},
    governance::{Choice, Invite, Mint, Post, Propose, Vote},
    model::{Algo, Compute, Dataset, Decimal, Finetune, Model, Valid, ValidResult, Weight},
    session::{Disorder, Lifecycle, Session, Stage},
    space::{Join, Ops, Project, Subspace, Task},
    token::{TokenApprove, TokenIssue, TokenMintRules, TokenRule, TokenTransfer},
    view::Operation,
};
use crate::event::{Kind, Signed};

/// The kinds that the protocol declares, with the name that an `op` tag has for each.
const NAMES: [(Kind, &str); 21] = [
    (Kind::SUBSPACE, "subspace_create"),
    (Kind::PROJECT, "project"),
    (Kind::TASK, "task"),
    (Kind::JOIN, "subspace_join"),
    (Kind::POST, "post"),
    (Kind::PROPOSE, "propose"),
    (Kind::VOTE, "vote"),
    (Kind::INVITE, "invite"),
    (Kind::MINT, "mint"),
    (Kind::TOKEN_ISSUE, "token_issue"),
    (Kind::TOKEN_TRANSFER, "token_transfer"),
    (Kind::TOKEN_APPROVE, "token_approve"),
    (Kind::TOKEN_MINT, "token_mint"),
    (Kind::MODEL, "model"),
    (Kind::DATASET, "dataset"),
    (Kind::COMPUTE, "compute"),
    (Kind::ALGO, "algo"),
    (Kind::VALID, "valid"),
    (Kind::FINETUNE, "finetune"),
    (Kind::CONVERSATION, "conversation"),
    (Kind::SESSION, "session"),
];

impl Kind {
    /// A subspace is made.
    pub const SUBSPACE: Self = Self(30100);
    /// A project is defined.
    pub const PROJECT: Self = Self(30101);
    /// A task of a project is defined.
    pub const TASK: Self = Self(30102);
    /// Somebody asks to be a member.
    pub const JOIN: Self = Self(30200);
    /// Something is published.
    pub const POST: Self = Self(30300);
    /// Something is proposed, to be voted on.
    pub const PROPOSE: Self = Self(30301);
    /// A vote.
    pub const VOTE: Self = Self(30302);
    /// Somebody says who invited them.
    pub const INVITE: Self = Self(30303);
    /// Credit is minted for a subspace's work.
    pub const MINT: Self = Self(30304);
    /// A token is defined.
    pub const TOKEN_ISSUE: Self = Self(30320);
    /// A token moves.
    pub const TOKEN_TRANSFER: Self = Self(30321);
    /// Somebody may spend another's token.
    pub const TOKEN_APPROVE: Self = Self(30322);
    /// Rules by which a token is minted.
    pub const TOKEN_MINT: Self = Self(30323);
    /// A version of a model.
    pub const MODEL: Self = Self(30404);
    /// A dataset.
    pub const DATASET: Self = Self(30405);
    /// A computation.
    pub const COMPUTE: Self = Self(30406);
    /// An algorithm.
    pub const ALGO: Self = Self(30407);
    /// The result of a validation.
    pub const VALID: Self = Self(30408);
    /// A fine-tuning experiment.
    pub const FINETUNE: Self = Self(30409);
    /// An interaction of a user and a model.
    pub const CONVERSATION: Self = Self(30410);
    /// The start, change or end of a session of conversations.
    pub const SESSION: Self = Self(30411);
    /// A client proves who it is (NIP-42). Never stored.
    pub const AUTHENTICATION: Self = Self(22242);

    /// Returns the name that the protocol has for this kind, if it declares it.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|it| it.0 == self).map(|it| it.1)
    }

    /// Says whether the ledger keeps every event of this kind, as it does for all that the protocol may declare.
    /// NIP-01 would have them replace one another.
    pub fn is_ledger(self) -> bool {
        (30100..30800).contains(&self.0)
    }

    /// Says whether an event of this kind makes no sense without a subspace. Tokens live outside of any.
    pub fn needs_subspace(self) -> bool {
        self.is_ledger() && !(30320..30324).contains(&self.0)
    }

    /// Returns what the `d` tag says in an event of this kind.
    pub fn d(self) -> &'static str {
        match self {
            Self::SUBSPACE => "subspace_create",
            Self::JOIN => "subspace_join",
            _ => "subspace_op",
        }
    }
}

/// What an event says, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each holds the view of its name, which says what it is")]
pub enum View {
    Subspace(Subspace),
    Project(Project),
    Task(Task),
    Join(Join),
    Post(Post),
    Propose(Propose),
    Vote(Vote),
    Invite(Invite),
    Mint(Mint),
    TokenIssue(TokenIssue),
    TokenTransfer(TokenTransfer),
    TokenApprove(TokenApprove),
    TokenMintRules(TokenMintRules),
    Model(Model),
    Dataset(Dataset),
    Compute(Compute),
    Algo(Algo),
    Valid(Valid),
    Finetune(Finetune),
    Conversation(Conversation),
    Session(Session),
    /// Of a kind that has no view here.
    Other,
}

impl View {
    /// Reads an event's tags as its kind has them.
    pub fn of(event: &Signed) -> Self {
        let tags = event.tags();
        match event.kind() {
            Kind::SUBSPACE => Self::Subspace(Subspace::read(tags)),
            Kind::PROJECT => Self::Project(Project::read(tags)),
            Kind::TASK => Self::Task(Task::read(tags)),
            Kind::JOIN => Self::Join(Join::read(tags)),
            Kind::POST => Self::Post(Post::read(tags)),
            Kind::PROPOSE => Self::Propose(Propose::read(tags)),
            Kind::VOTE => Self::Vote(Vote::read(tags)),
            Kind::INVITE => Self::Invite(Invite::read(tags)),
            Kind::MINT => Self::Mint(Mint::read(tags)),
            Kind::TOKEN_ISSUE => Self::TokenIssue(TokenIssue::read(tags)),
            Kind::TOKEN_TRANSFER => Self::TokenTransfer(TokenTransfer::read(tags)),
            Kind::TOKEN_APPROVE => Self::TokenApprove(TokenApprove::read(tags)),
            Kind::TOKEN_MINT => Self::TokenMintRules(TokenMintRules::read(tags)),
            Kind::MODEL => Self::Model(Model::read(tags)),
            Kind::DATASET => Self::Dataset(Dataset::read(tags)),
            Kind::COMPUTE => Self::Compute(Compute::read(tags)),
            Kind::ALGO => Self::Algo(Algo::read(tags)),
            Kind::VALID => Self::Valid(Valid::read(tags)),
            Kind::FINETUNE => Self::Finetune(Finetune::read(tags)),
            Kind::CONVERSATION => Self::Conversation(Conversation::read(tags)),
            Kind::SESSION => Self::Session(Session::read(tags)),
            _ => Self::Other,
        }
    }
}

/// Lists what is odd about an event and no reason to refuse it.
pub fn warnings(event: &Signed) -> Vec<String> {
    let mut warnings = Vec::new();
    let kind = event.kind();
    if let (Some(op), Some(name)) = (event.tags().first("op"), kind.name())
        && op != name
    {
        warnings.push(format!("op `{op}` is not the name of kind {kind}, `{name}`: the kind decides"));
    }
    match View::of(event) {
        View::Subspace(subspace) => warnings.extend(subspace.declared().flaws),
        View::Conversation(conversation)
            if conversation.interaction(event.content()) == Interaction::Unverified =>
        {
            warnings.push("interaction_hash is not the SHA-256 of the content".to_owned());
        }
        _ => {}
    }
    warnings
}
