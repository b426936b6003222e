//! Mounts, and the end of mounts, without hanging.
//!
//! What always holds: this process asks the kernel nothing about a path that may lie on a dead server. What is mounted
//! comes from `/proc/self/mountinfo`, which never waits for anybody; whatever has to touch the path is an errand, a
//! process of its own that is killed and left behind when it does not return in time.
//!
//! | module | what it does |
//! |---|---|
//! | [`table`] | what is mounted where |
//! | [`way`], [`fstab`], [`nfs`] | how a directory is to be mounted. Pure |
//! | [`order`], [`policy`] | what is unmounted when, and how roughly. Pure |
//! | [`mount`], [`unmount`] | perform that, and look into the table whether it is so |
//! | [`errand`], [`child`] | one step as a killable process: what it does, and how long we wait for it |
//! | [`holders`] | who keeps a mount busy |
//! | [`place`] | where a name leads that is a symbolic link |
//! | [`deadline`] | how long all of it may take |

pub mod child;
pub mod deadline;
pub mod errand;
pub mod fstab;
pub mod holders;
pub mod mount;
pub mod nfs;
pub mod order;
pub mod place;
pub mod policy;
pub mod table;
pub mod unmount;
pub mod way;
