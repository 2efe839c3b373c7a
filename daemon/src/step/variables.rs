//! What a workspace's commands and processes get as variables, and what fills in the project file's placeholders.

use super::{make_directory::HOME, reserve_port};
use crate::{
    config::{Project, Values},
    domain::{Name, UnitName},
    engine::Cx,
    layout::{DATA, own_socket},
    recipe::{Over, OwnValue, Recipe, SETTINGS},
};
use cid_protocol::{
    budget::{VARIABLE, VARIABLES_BYTES},
    fault::Fault,
    run_file::{ProcessCommand, RunFile},
};
use data_encoding::BASE64URL_NOPAD;
use std::{collections::BTreeMap, path::Path};

/// In the workspace's HOME: what an app that needs a database begins with.
pub(super) const DATABASE: &str = "app.sqlite3";

/// What the workspace's placeholders stand for, in this instance or the one that answers. A project that wants
/// numbers has one reserved here.
pub(super) async fn values(instance: Option<&UnitName>, cx: &Cx) -> Result<Values, Fault> {
    let project = cx.project()?;
    let store = cx.store();
    let workspace = store.workspace(cx.workspace()).await?;
    let workspace = workspace.ok_or_else(|| Fault::new("cannot go on: the workspace is gone"))?;
    let number = match project.wants_numbers() {
        true => Some(store.reserve_number(workspace.id).await?),
        false => None,
    };
    let values = Values::of(&project, &workspace, number);
    let Some(instance) = instance else {
        return Ok(values);
    };
    let socket = own_socket(&workspace.directory, instance);
    Ok(Values {
        port: Some(reserve_port::port(instance, cx).await?),
        socket: socket.to_string_lossy().into_owned(),
        ..values
    })
}

/// Variables that cid and the operator give the app: written to `.env` and available to templates.
///
/// # Errors
/// They are too long; the machine gives no random numbers.
pub(super) fn own_variables(
    project: &Project,
    values: &Values,
    recipe: &Recipe,
    earlier: Option<&RunFile>,
) -> Result<BTreeMap<String, String>, Fault> {
    let mut own = BTreeMap::new();
    // An operator says what a stage runs with: what is made up here would hide that something is missing there.
    let is_stage = Name::of_stage(&values.name).is_some();
    for (name, value) in recipe.own.iter().filter(|_| !is_stage) {
        let value = match value {
            // Tools of the machine's ask by these.
            OwnValue::Host => format!("{},localhost,127.0.0.1", values.host),
            OwnValue::OneHost => values.host.clone(),
            OwnValue::Origin => values.url.trim_end_matches('/').to_owned(),
            OwnValue::Database => {
                let file = Path::new(&values.directory).join(HOME).join(DATABASE);
                format!("sqlite:///{}", file.display())
            }
            // People stay signed in over a deployment.
            OwnValue::Secret => match earlier.and_then(|earlier| earlier.env.get(name)) {
                Some(kept) => kept.clone(),
                None => random_text()?,
            },
        };
        own.insert(name.clone(), value);
    }
    // A stage's files are those of its build.
    if recipe.over.is_some() && !is_stage {
        own.insert(SETTINGS.to_owned(), Over::MODULE.to_owned());
    }
    own.extend(project.env_of(values));
    // Filled in, a value may be longer than the file's.
    for (name, value) in &own {
        VARIABLE.check(value.len(), format_args!("{name} of [env]"))?;
    }
    let bytes = own.iter().map(|(name, value)| name.len() + value.len());
    VARIABLES_BYTES.check(bytes.sum(), "[env]")?;
    let port = values
        .port
        .ok_or_else(|| Fault::new("cannot go on: no port is reserved"))?;
    let mut set = |name: &str, value: String| own.insert(name.to_owned(), value);
    set("PORT", port.to_string());
    set("HOST", "127.0.0.1".into());
    set("SOCKET", values.socket.clone());
    set("CID_URL", values.url.clone());
    match Name::of_stage(&values.name) {
        None => set("CID_WORKSPACE", values.name.clone()),
        Some(stage) => {
            set("CID_STAGE", stage.to_string());
            let data = Path::new(&values.directory).join(DATA);
            set("CID_DATA", data.to_string_lossy().into_owned())
        }
    };
    if let Some(database) = &project.database {
        set("DATABASE_URL", database.url.clone());
    }
    if let Some(media) = &project.media {
        set("MEDIA_ROOT", media.path.to_string_lossy().into_owned());
        set("MEDIA_URL", media.url.as_str().to_owned());
    }
    Ok(own)
}

/// 256 random bits.
pub(super) fn random_text() -> Result<String, Fault> {
    let mut bytes = [0; 32];
    let source = rustls::crypto::ring::default_provider().secure_random;
    let filled = source.fill(&mut bytes);
    filled.map_err(|_| Fault::new("cannot go on: the machine gives no random numbers"))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// Fills in the operator's commands; a Procfile's lines take their values from the environment instead.
pub(super) fn filled_in(command: ProcessCommand, values: &Values) -> ProcessCommand {
    match command {
        ProcessCommand::Arguments(words) => {
            ProcessCommand::Arguments(words.iter().map(|word| values.word(word)).collect())
        }
        shell @ ProcessCommand::Shell(_) => shell,
    }
}
