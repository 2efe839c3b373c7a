//! What the pages about stages and builds say.

use super::Lang;
use crate::text::printable;
use cid_client::{BuildState, FailedDeployment, JobState, WorkspaceState};

sentences! {
    stages: "Stages", "Площадки";
    stage: "Stage", "Площадка";
    build: "Build", "Сборка";
    builds: "Builds", "Сборки";
    never_deployed: "nothing runs yet", "пока ничего не работает";
    delivery: "Delivery", "Выпуск";
    to_delivery: "To the delivery of the project", "К выпуску проекта";
    no_stages:
        "This project has no stages. The operator adds them to its file:",
        "У этого проекта нет площадок. Администратор добавляет их в его файл:";
    no_builds: "Nothing was built yet.", "Пока ничего не собрано.";
    verdict: "Tests", "Тесты";
    by_whom: "By", "Кто";
    asked_at: "Asked for", "Запрошена";
    runs_in: "Runs in", "Работает на";
    revision: "Branch, tag or commit to build", "Ветка, тег или коммит для сборки";
    make_build: "Build", "Собрать";
    for_administrators:
        "Administrators promote and roll back.",
        "Выпускают и откатывают администраторы.";
    build_again: "Build it again", "Собрать ещё раз";
    built_already:
        "This commit was built already. Nothing was begun: this is the build that there is.",
        "Этот коммит уже собран. Ничего не запущено: это та сборка, которая есть.";
    author: "Author", "Автор";
    tests: "Tests", "Тесты";
    failed_tests: "Tests that failed", "Непройденные тесты";
    tests_printed: "What the tests printed", "Что вывели тесты";
    bring_to: "Promote it to", "Выпустить на";
    how_it_went: "How it went", "Как это было";
    visitors_keep: "Visitors have what they had before.", "У посетителей всё как было.";
    step_stays: "not taken back", "не возвращено";
    not_updated: "Not brought up to date", "Не обновлено";
    no_build: "There is no such build", "Такой сборки нет";
    no_project: "There is no such project", "Такого проекта нет";
    printed: "What it writes", "Что выводится";
    not_found: "There is no such thing", "Такого нет";

    what_changes: "What would change", "Что изменится";
    come: "These commits come", "Появятся коммиты";
    go_away: "These commits go", "Исчезнут коммиты";
    same_commits: "Nothing: it is the same commit.", "Ничего: это тот же коммит.";
    first_build:
        "Nothing runs there yet: all of it is new.",
        "Там пока ничего не работает: всё будет новым.";
    is_older: "This build is older than the one that runs.", "Эта сборка старше той, что работает.";
    database: "The database", "База данных";
    database_releases:
        "Its release commands run, if it has any, and may change the database. A rollback does not take that back.",
        "Выполнятся команды перед запуском, если они есть. Они могут изменить базу данных, и откат этого не вернёт.";
    database_untouched:
        "The project has no release commands. The database stays as it is.",
        "Команд перед запуском у проекта нет. База данных останется как есть.";
    database_backup:
        "The database is copied before.",
        "Перед этим делается копия базы.";
    database_back:
        "No release commands run. The database stays as it is now.",
        "Команды перед запуском не выполняются. База данных остаётся такой, какая сейчас.";
    promote_now: "Promote", "Выпустить";
    roll_back_now: "Roll back", "Откатить";
    leave_it: "Leave it", "Не сейчас";
}

impl Lang {
    /// On whose behalf something was done, by the daemon's word.
    pub fn on_behalf(self, by: &str) -> String {
        match by.starts_with("the trigger of ") {
            true => self.pick("cid, after a push", "cid, после push").to_owned(),
            false => printable(by),
        }
    }

    /// Where a stage's life has got to.
    pub fn stage_state(self, state: &WorkspaceState) -> &'static str {
        match (self, state) {
            (Self::Ru, WorkspaceState::Ready) => "готова",
            (Self::Ru, WorkspaceState::Stopped) => "остановлена",
            _ => self.workspace_state(state),
        }
    }

    /// Where a build stands.
    pub fn build_state(self, state: &BuildState) -> &'static str {
        match state {
            BuildState::Unknown => self.pick("unknown", "неизвестно"),
            BuildState::Queued => self.pick("waiting", "ждёт"),
            BuildState::Building => self.pick("building", "собирается"),
            BuildState::Testing => self.pick("testing", "проверяется"),
            BuildState::Passed => self.pick("passed", "пройдена"),
            BuildState::Failed => self.pick("tests failed", "тесты не пройдены"),
            BuildState::Error => self.pick("not made", "не собрана"),
            BuildState::Superseded => self.pick("superseded", "заменена новой"),
        }
    }

    /// What a job does to a stage, or has done.
    pub fn stage_job(self, state: JobState) -> Option<&'static str> {
        Some(match state {
            JobState::Running => self.pick(
                "Bringing the build to the stage",
                "Выпускаем сборку на площадку",
            ),
            JobState::Done => {
                self.pick("The build runs in the stage", "Сборка работает на площадке")
            }
            JobState::Undone => self.pick(
                "The build was not brought to the stage",
                "Сборка на площадку не выпущена",
            ),
            _ => return None,
        })
    }

    /// The button that leads to a promotion.
    pub fn promote_build(self, build: &u32) -> String {
        match self {
            Self::En => format!("Promote build {build} …"),
            Self::Ru => format!("Выпустить сборку {build} …"),
        }
    }

    /// The same where that failed before.
    pub fn promote_again(self, build: &u32) -> String {
        match self {
            Self::En => format!("Try build {build} again …"),
            Self::Ru => format!("Выпустить сборку {build} ещё раз …"),
        }
    }

    /// What was to be deployed and was not.
    pub fn not_deployed(self, failed: &FailedDeployment) -> String {
        match (self, failed.build) {
            (Self::En, Some(build)) => format!("Build {build} was not deployed"),
            (Self::En, None) => "The last deployment failed".to_owned(),
            (Self::Ru, Some(build)) => format!("Сборка {build} не выпущена"),
            (Self::Ru, None) => "Последнее обновление не удалось".to_owned(),
        }
    }

    /// Of a build: where it was not deployed.
    pub fn not_deployed_to(self, stage: &str) -> String {
        match self {
            Self::En => format!("not deployed to {stage}"),
            Self::Ru => format!("не выпущена на {stage}"),
        }
    }

    /// The same for those who may only look.
    pub fn what_would_change(self, build: &u32) -> String {
        match self {
            Self::En => format!("What build {build} would change"),
            Self::Ru => format!("Что изменит сборка {build}"),
        }
    }

    /// The button that leads to a rollback.
    pub fn back_to_build(self, build: &u32) -> String {
        match self {
            Self::En => format!("Back to build {build} …"),
            Self::Ru => format!("Назад к сборке {build} …"),
        }
    }

    /// What is asked about.
    pub fn change_title(self, back: bool, build: u32, stage: &str) -> String {
        match (self, back) {
            (Self::En, false) => format!("Promote build {build} to {stage}?"),
            (Self::En, true) => format!("Roll {stage} back to build {build}?"),
            (Self::Ru, false) => format!("Выпустить сборку {build} на {stage}?"),
            (Self::Ru, true) => format!("Откатить {stage} к сборке {build}?"),
        }
    }

    /// What runs, and what would.
    pub fn change_lead(self, running: &Option<u32>, build: &u32) -> String {
        match (self, running) {
            (Self::En, Some(running)) => {
                format!("Build {running} runs there now; build {build} would.")
            }
            (Self::En, None) => format!("Nothing runs there now; build {build} would."),
            (Self::Ru, Some(running)) => format!("Сейчас там сборка {running}, будет {build}."),
            (Self::Ru, None) => format!("Сейчас там ничего нет, будет сборка {build}."),
        }
    }

    /// What the tests' reports count.
    pub fn tests_told(self, tests: &u64, failed: &u64, skipped: &u64) -> String {
        match self {
            Self::En => format!("{tests} in all, {failed} failed, {skipped} left out"),
            Self::Ru => format!("всего {tests}, не пройдено {failed}, пропущено {skipped}"),
        }
    }
}
