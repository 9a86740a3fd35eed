//! The words of Gridwright as types, without any I/O.
//!
//! In reading order:
//!
//! - [`id`]: typed ids and the grid's generation
//! - [`units`]: quantities and [`units::Resources`], the vector of what a VM asks and a node has
//! - [`time`]: instants and spans of virtual or real time
//! - [`hypervisor`]: kinds, guests, capabilities, efficiency
//! - [`hypervisor_file`]: reads the profiles of hypervisors
//! - [`grid`]: nodes, node classes, sites, racks: one resource
//! - [`grid_builder`]: a grid in the making
//! - [`grid_file`], [`grid_writer`]: reads and writes grid files
//! - [`vm`]: what one VM asks of a node
//! - [`design`]: what a customer draws; may be wrong
//! - [`kind`]: what a component of each kind is before anyone changes it
//! - [`design_file`], [`design_writer`]: reads and writes design files
//! - [`topology`]: a checked design; cannot be wrong
//! - [`assignment`]: components to VMs, no node named yet
//! - [`plan`]: VMs to nodes, immutable
//! - [`blueprint`]: all that a node needs to know to make one VM
//! - [`configuration`]: what the services of a running guest are to take
//! - [`order`]: normalised messages to a node
//! - [`fingerprint`]: what a node found out about itself
//! - [`report`]: what comes back of an order
//! - [`event`]: one line of the grid's history
//! - [`sample`]: one measurement in the one schema
//! - [`view`]: the unified picture of the grid at an instant
//! - [`samples`]: sample grids and designs, built in
//! - [`fault`]: what is wrong with a file, where, and what was expected
//! - [`toml_reader`]: reads a file of ours field by field and gathers its faults
//! - [`toml_writer`]: writes the files that people read
//!
//! # Glossary
//! One word for one thing, here, in files, in the window and in talk.
//!
//! | Word | Meaning |
//! |---|---|
//! | **Node** | a physical machine, [`grid::Node`], with what it shares with its equals, its *class*, [`grid::NodeClass`]; the one hypervisor that rules it is of the class |
//! | **VM** | one virtual machine or system container of a customer, on one node at a time; its shape is [`vm::VmSpec`] |
//! | **Tenant** | a customer: owner of designs, VMs and images; [`id::TenantId`] |
//! | **Hypervisor** | what runs VMs on a node, as a profile tells it: [`hypervisor::Hypervisor`] |
//! | **Grid** | all nodes, seen as one resource: [`grid::Grid`]; its *generation* counts its changes |
//! | **Design** | what a customer draws, right or wrong: [`design::Design`] |
//! | **Topology** | a checked design, which cannot be wrong: [`topology::Topology`] |
//! | **Component** | load balancer, web server, application server, database, storage, firewall or network of a design: [`design::Component`]; its *instances* are equal VMs, an instance larger than any node is split into *parts* |
//! | **Link** | traffic from one component to another: [`design::Link`] |
//! | **Assignment** | the logical step: components to VMs, no node named yet; [`assignment::Assignment`] |
//! | **Group** | VMs bound together or apart by a rule: [`assignment::Group`] |
//! | **Plan** | the physical step: VMs to nodes, stamped with the grid's generation; [`plan::Plan`] |
//! | **Loan** | disk space of a node for a VM of another, a piece of the VM's *remote disk*; [`plan::Loan`] |
//! | **Order** | one normalised message to a node: [`order::Order`] |
//! | **Blueprint** | one VM down to its last partition, as an order carries it: [`blueprint::Blueprint`] |
//! | **Fingerprint** | what a node found out about itself: [`fingerprint::Fingerprint`] |
//! | **Operation** | what somebody asked for, from acceptance to its one end: [`id::OperationId`] |
//! | **Step** | one act of an order on a node: format this partition, send this call |
//! | **Report** | what came back of an order, or what a node noticed by itself: [`report::Report`] |
//! | **Event** | one line of the grid's history: [`event::Event`] |
//! | **Lease** | a node's dated permission to run highly available VMs |
//! | **Agent** | the program on each node that carries orders out |
//! | **Driver** | the plug-in that turns orders into one hypervisor's own calls; what it can do beyond the mandatory verbs are *capabilities*, [`hypervisor::Capability`] |
//! | **Policy** | a rule of decision: where to place, when to scale, what to move |
//! | **Sample** | one measurement in the one schema: [`sample::Sample`] |
//! | **View** | the unified picture of the grid at an instant: [`view::View`] |
//! | **Snapshot** | a VM frozen at an instant, to go back to or to copy from; nothing else |
//! | **Fault** | one thing wrong with a file or a drawing: [`fault::Fault`] |

pub mod assignment;
pub mod blueprint;
pub mod configuration;
pub mod design;
pub mod design_file;
pub mod design_writer;
pub mod event;
pub mod fault;
pub mod fingerprint;
pub mod grid;
pub mod grid_builder;
pub mod grid_file;
pub mod grid_writer;
pub mod hypervisor;
pub mod hypervisor_file;
pub mod id;
pub mod kind;
pub mod order;
pub mod plan;
pub mod report;
pub mod sample;
pub mod samples;
mod size;
pub mod time;
pub mod toml_reader;
pub mod toml_writer;
pub mod topology;
mod topology_check;
pub mod units;
pub mod view;
pub mod vm;
