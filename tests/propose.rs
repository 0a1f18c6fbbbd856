//! Stories of a new model on its way into an index: branch, commit, push and pull request, against real git and
//! forges that check every word.

mod branch;
mod described;
mod faults;
mod forge;
mod hooks;
mod review;
mod scene;
mod signed;
mod story;
