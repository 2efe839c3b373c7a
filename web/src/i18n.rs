use crate::text::printable;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::ACCEPT_LANGUAGE, request::Parts},
};
use cid_client::{
    Health, JobKind, JobState, ProcessState, StepState, Waiting, WaitingFor, WorkspaceState,
};
use std::{convert::Infallible, time::Duration};

/// The language a page speaks. Every sentence of the front is a method of it, so that none can
/// be missing in one language; what the daemon says stays as the daemon says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English, also where nothing else fits.
    #[default]
    En,
    /// Russian.
    Ru,
}

impl Lang {
    /// The language that `Accept-Language` likes best of those there are.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut best = (0, Self::En);
        let wishes = headers.get_all(ACCEPT_LANGUAGE).into_iter();
        for wish in wishes
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
        {
            let (tag, parameters) = wish.split_once(';').unwrap_or((wish, ""));
            let lang = match tag.trim().split('-').next().map(str::to_ascii_lowercase) {
                Some(tag) if tag == "ru" => Self::Ru,
                Some(tag) if tag == "en" || tag == "*" => Self::En,
                _ => continue,
            };
            let weight = thousandths(parameters);
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }

    /// Its code for `lang` and `Content-Language`.
    pub fn code(self) -> &'static str {
        self.pick("en", "ru")
    }

    fn pick<'a>(self, en: &'a str, ru: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Ru => ru,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Lang {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// A weight such as `q=0.8` in thousandths; 1000 where there is none, 0 where it is nonsense.
fn thousandths(parameters: &str) -> u16 {
    let Some(q) = parameters.trim().strip_prefix("q=") else {
        return 1000;
    };
    match q.trim().parse::<f32>() {
        // In range and not negative, so the cast is exact enough and cannot wrap.
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0) as u16,
        _ => 0,
    }
}

macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $ru:literal;)+) => {
        /// The sentences that need no value.
        impl Lang {
            $($(#[$doc])* #[doc = $en] pub fn $name(self) -> &'static str { self.pick($en, $ru) })+
        }
    };
}

sentences! {
    sign_in: "Sign in", "Войти";
    sign_out: "Sign out", "Выйти";
    sign_in_lead:
        "You were given a link? Open it. On another device, type your address and the code that came with it.",
        "Вам дали ссылку? Откройте её. На другом устройстве введите свой адрес и код, который пришёл вместе с ней.";
    link_lead:
        "This link is good once. The button signs you in on this device.",
        "Эта ссылка действует один раз. Кнопка выполнит вход на этом устройстве.";
    code_of_link: "Code", "Код";
    not_good:
        "This link or code is not good: it may have been used, or be too old.",
        "Ссылка или код не подходят: возможно, они уже использованы или устарели.";
    how_to_get_a_link:
        "No link? An administrator makes one for your address:",
        "Нет ссылки? Администратор сделает её для вашего адреса:";
    your_workspaces: "Your workspaces", "Ваши стенды";
    none_of_yours: "You have no workspace yet.", "У вас пока нет стенда.";
    workspaces: "Workspaces", "Стенды";
    lead:
        "One e-mail address, and a few seconds later a running copy of the project: \
         an address that answers, a folder, a branch of your own.",
        "Один адрес почты, и через несколько секунд у вас есть работающая копия проекта: \
         адрес, который отвечает, папка и своя ветка.";
    email: "E-mail address", "Адрес эл. почты";
    project: "Project", "Проект";
    create: "Create workspace", "Создать стенд";
    all_workspaces: "All workspaces", "Все стенды";
    none_yet: "There are no workspaces yet.", "Стендов пока нет.";
    no_projects:
        "No project can be used yet: the operator has to describe one first.",
        "Пока нет ни одного проекта: сначала его должен описать администратор.";
    column_email: "E-mail", "Эл. почта";
    column_commit: "Commit", "Коммит";
    column_port: "Port", "Порт";
    column_state: "State", "Состояние";
    column_url: "URL", "URL";
    invalid_email: "This address cannot be used.", "Такой адрес не подойдёт.";

    your_workspace: "The workspace", "Стенд";
    health: "Application", "Приложение";
    processes: "Processes", "Процессы";
    restarts: "restarts", "перезапусков";
    last_end: "last end", "последнее завершение";
    branch: "Branch", "Ветка";
    directory: "Folder on the server", "Папка на сервере";
    commit: "Made from commit", "Создан из коммита";
    created_at: "Asked for", "Запрошен";
    get_a_clone: "A clone for your own machine", "Копия на свой компьютер";
    watch_job: "Watch the progress", "Следить за ходом работы";
    last_job: "How it went", "Как это было";
    gone: "This workspace no longer exists.", "Этого стенда больше нет.";

    progress: "Progress", "Ход работы";
    step_of: "Step {n} of {m}: {label}", "Шаг {n} из {m}: {label}";
    not_begun: "not begun", "не начат";
    connection_lost:
        "The connection is lost; trying again …",
        "Связь потеряна, пробуем ещё раз …";
    failure: "What went wrong", "Что пошло не так";
    failed_step: "Step", "Шаг";
    hint: "What to do", "Что делать";
    last_lines: "What it wrote last", "Что выведено последним";
    output:
        "What the step wrote, for those who may read the workspace's logs:",
        "Что этот шаг вывел, для тех, кому можно читать журналы стенда:";
    nothing_left:
        "Everything was taken back; nothing is left on the server.",
        "Всё возвращено как было, на сервере ничего не осталось.";
    ask_operator:
        "This needs a person: the operator goes on with it by",
        "Здесь нужен человек: администратор продолжит работу командой";
    owed: "Still to be done by the server", "Сервер ещё доделает";
    try_again: "Try again", "Попробовать ещё раз";
    to_start: "To all workspaces", "Ко всем стендам";

    no_page: "There is no such page", "Такой страницы нет";
    no_workspace: "There is no such workspace", "Такого стенда нет";
    no_job: "There is no such job", "Такой работы нет";
    exists: "This address has a workspace already", "У этого адреса уже есть стенд";
    in_the_way: "Another job is in the way", "Мешает другая работа";
    unreachable: "cid does not answer", "cid не отвечает";
    unreachable_text:
        "The server part of cid is not running, or is just starting. \
         Nothing is lost; try again in a moment.",
        "Серверная часть cid не запущена или ещё запускается. \
         Ничего не потеряно, попробуйте чуть позже.";
    busy: "Too much at once", "Слишком много сразу";
    busy_text:
        "There are more requests than can be answered now. Try again in a moment.",
        "Запросов больше, чем можно обработать. Попробуйте чуть позже.";
    foreign: "This request came from another site", "Запрос пришёл с другого сайта";
    foreign_text:
        "Forms are taken from this site's own pages only. Nothing was done.",
        "Формы принимаются только со страниц этого сайта. Ничего не сделано.";
    bad_form: "This form cannot be read", "Эту форму нельзя прочитать";
    bad_form_text:
        "Send it from the start page: one e-mail address, and where there is a choice, one project.",
        "Отправьте её с главной страницы: один адрес и, если есть выбор, один проект.";
    denied: "This is not allowed", "Это не разрешено";
    trouble: "This did not work", "Не получилось";
}

/// The sentences that depend on a value.
impl Lang {
    /// Where a workspace's life has got to.
    pub fn workspace_state(self, state: &WorkspaceState) -> &'static str {
        match state {
            WorkspaceState::Unknown => self.pick("unknown", "неизвестно"),
            WorkspaceState::Creating => self.pick("creating", "создаётся"),
            WorkspaceState::Ready => self.pick("ready", "готов"),
            WorkspaceState::Failed => self.pick("failed", "сбой"),
            WorkspaceState::Deleting => self.pick("deleting", "удаляется"),
        }
    }

    /// Whether the application is what its visitors should get.
    pub fn health_state(self, health: &Health) -> &'static str {
        match health {
            Health::Unknown => self.pick("not known", "неизвестно"),
            Health::Up => self.pick("running", "работает"),
            Health::Starting => self.pick("starting", "запускается"),
            Health::Failing => self.pick("answers wrongly", "отвечает неверно"),
            Health::Crashing => self.pick("crashing", "падает"),
            Health::Down => self.pick("not running", "не работает"),
        }
    }

    /// Whether a process runs.
    pub fn process_state(self, state: &ProcessState) -> &'static str {
        match state {
            ProcessState::Unknown => self.pick("not known", "неизвестно"),
            ProcessState::Stopped => self.pick("stopped", "остановлен"),
            ProcessState::Starting => self.pick("starting", "запускается"),
            ProcessState::Running => self.pick("running", "работает"),
            ProcessState::Crashing => self.pick("crashing", "падает"),
        }
    }

    /// Where a step has got to.
    pub fn step_state(self, state: &StepState) -> &'static str {
        match state {
            StepState::Unknown => self.pick("unknown", "неизвестно"),
            StepState::Planned => self.pick("waiting", "ждёт"),
            StepState::Observed => self.pick("running", "выполняется"),
            StepState::Applied => self.pick("done", "готово"),
            StepState::Undoing => self.pick("taking back", "отменяется"),
            StepState::Undone => self.pick("taken back", "отменено"),
            StepState::Stuck => self.pick("stuck", "застряло"),
        }
    }

    /// What a job is doing or has done: the heading of its page.
    pub fn job(self, kind: JobKind, state: JobState) -> &'static str {
        match (kind, state) {
            (_, JobState::Queued) => self.pick("Waiting for its turn", "Ждёт своей очереди"),
            (_, JobState::Undoing) => {
                self.pick("Taking everything back", "Возвращаем всё как было")
            }
            (_, JobState::Stuck) => self.pick("Stuck half-way", "Застряло на полпути"),
            (_, JobState::Cancelled) => self.pick("Cancelled", "Отменено"),
            (JobKind::Create, JobState::Running) => {
                self.pick("Creating the workspace", "Создаём стенд")
            }
            (JobKind::Create, JobState::Done) => self.pick("The workspace is ready", "Стенд готов"),
            (JobKind::Create, JobState::Undone) => {
                self.pick("The workspace was not created", "Стенд не создан")
            }
            (JobKind::Delete, JobState::Running) => {
                self.pick("Deleting the workspace", "Удаляем стенд")
            }
            (JobKind::Delete, JobState::Done) => {
                self.pick("The workspace is deleted", "Стенд удалён")
            }
            (JobKind::Delete, JobState::Undone) => {
                self.pick("The workspace was not deleted", "Стенд не удалён")
            }
            (JobKind::Restart, JobState::Running) => {
                self.pick("Restarting the workspace", "Перезапускаем стенд")
            }
            (JobKind::Restart, JobState::Done) => {
                self.pick("The workspace is restarted", "Стенд перезапущен")
            }
            (JobKind::Restart, JobState::Undone) => {
                self.pick("The workspace was not restarted", "Стенд не перезапущен")
            }
            (JobKind::Deploy, JobState::Running) => {
                self.pick("Deploying the workspace", "Обновляем стенд")
            }
            (JobKind::Deploy, JobState::Done) => {
                self.pick("The workspace is up to date", "Стенд обновлён")
            }
            (JobKind::Deploy, JobState::Undone) => {
                self.pick("The workspace was not deployed", "Стенд не обновлён")
            }
            (JobKind::RepairAccess, JobState::Running) => self.pick(
                "Repairing the access to the files",
                "Восстанавливаем доступ к файлам",
            ),
            (JobKind::RepairAccess, JobState::Done) => self.pick(
                "The access to the files is repaired",
                "Доступ к файлам восстановлен",
            ),
            (JobKind::RepairAccess, JobState::Undone) => self.pick(
                "The access to the files was not repaired",
                "Доступ к файлам не восстановлен",
            ),
            (JobKind::Build, JobState::Running) => {
                self.pick("Making and testing the build", "Собираем и проверяем")
            }
            (JobKind::Build, JobState::Done) => {
                self.pick("The build is made and tested", "Сборка готова и проверена")
            }
            (JobKind::Build, JobState::Undone) => {
                self.pick("The build was not made", "Сборка не сделана")
            }
            (JobKind::Unknown, JobState::Done) => self.pick("Done", "Готово"),
            (JobKind::Unknown, JobState::Undone) => self.pick("Not done", "Не сделано"),
            (JobKind::Unknown, JobState::Running) | (_, JobState::Unknown) => {
                self.pick("Working", "Работаем")
            }
        }
    }

    /// How long something ran, e.g. `0.4 s`.
    pub fn took(self, took: Duration) -> String {
        let (minutes, seconds) = (took.as_secs() / 60, took.as_secs() % 60);
        let [ms, s, min] = match self {
            Self::En => ["ms", "s", "min"],
            Self::Ru => ["мс", "с", "мин"],
        };
        if minutes > 0 {
            return format!("{minutes} {min} {seconds:02} {s}");
        }
        if took.as_millis() < 100 {
            return format!("{} {ms}", took.as_millis());
        }
        let number = format!("{:.1}", took.as_secs_f64());
        match self {
            Self::En => format!("{number} {s}"),
            Self::Ru => format!("{} {s}", number.replace('.', ",")),
        }
    }

    /// The line below the heading of a job that has ended.
    pub fn ended_after(self, took: Duration) -> String {
        match self {
            Self::En => format!("It took {}.", self.took(took)),
            Self::Ru => format!("Заняло {}.", self.took(took)),
        }
    }

    /// What a job waits for, e.g. `Waiting for a turn: 2 ahead (install of ben@example.com, 3 min)`.
    pub fn waiting(self, waiting: &Waiting) -> String {
        let of = waiting.of.as_deref().map(printable).unwrap_or_default();
        let what = match waiting.resource {
            WaitingFor::Turn | WaitingFor::Unknown => self.pick("a turn", "очереди").to_owned(),
            WaitingFor::Mirror => self.pick("the mirror of ", "зеркала проекта ").to_owned() + &of,
            WaitingFor::Build => self.pick("a build of ", "сборки проекта ").to_owned() + &of,
            WaitingFor::Database => {
                self.pick("the shared database of ", "общей базы проекта ")
                    .to_owned()
                    + &of
            }
            WaitingFor::Uv => self.pick("uv", "программы uv").to_owned(),
            WaitingFor::GitServer => {
                self.pick("a connection to ", "соединения с ").to_owned() + &of
            }
        };
        let ahead = waiting.ahead;
        let mut text = match self {
            Self::En => format!("Waiting for {what}: {ahead} ahead"),
            Self::Ru => format!("Ждём {what}: впереди {ahead}"),
        };
        if let Some(work) = &waiting.work {
            text += &format!(" ({}", self.work(&printable(work)));
            if let Some(email) = waiting.email.as_deref().map(printable) {
                text += &match self {
                    Self::En => format!(" of {email}"),
                    Self::Ru => format!(" для {email}"),
                };
            }
            if waiting.minutes > 0 {
                text += &format!(", {} {}", waiting.minutes, self.pick("min", "мин"));
            }
            text.push(')');
        }
        text
    }

    fn work(self, work: &str) -> String {
        let known = match work {
            "install" => "установка",
            "release" => "команды перед запуском",
            "fetch" => "загрузка",
            "push-branch" => "отправка ветки",
            _ => work,
        };
        self.pick(work, known).to_owned()
    }

    /// Which step runs now.
    pub fn at_step(self, n: usize, m: usize, label: &str) -> String {
        self.step_of()
            .replace("{n}", &n.to_string())
            .replace("{m}", &m.to_string())
            // Last, so that a label cannot hold a placeholder.
            .replace("{label}", label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &'static str) -> Lang {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
        Lang::of(&headers)
    }

    #[test]
    fn the_best_liked_language_is_spoken() {
        assert_eq!(Lang::of(&HeaderMap::new()), Lang::En);
        assert_eq!(of("ru"), Lang::Ru);
        assert_eq!(of("ru-RU,ru;q=0.9,en-US;q=0.8"), Lang::Ru);
        assert_eq!(of("en-GB, ru;q=0.9"), Lang::En);
        assert_eq!(of("en;q=0.3, ru;q=0.7"), Lang::Ru);
        assert_eq!(of("de, fr"), Lang::En);
        assert_eq!(of("de, ru;q=0.2"), Lang::Ru);
        assert_eq!(of("ru;q=0, en;q=0.1"), Lang::En);
        assert_eq!(of("ru;q=NaN, ru;q=9, ;;;,,"), Lang::En);
        assert_eq!(of("run, rumble"), Lang::En);
    }

    #[test]
    fn who_waits_is_told_for_whom() {
        let mut waiting = Waiting {
            resource: WaitingFor::Turn,
            of: None,
            ahead: 2,
            work: Some("install".into()),
            email: Some("ben@example.com".into()),
            minutes: 3,
            text: String::new(),
        };
        assert_eq!(
            Lang::En.waiting(&waiting),
            "Waiting for a turn: 2 ahead (install of ben@example.com, 3 min)"
        );
        assert_eq!(
            Lang::Ru.waiting(&waiting),
            "Ждём очереди: впереди 2 (установка для ben@example.com, 3 мин)"
        );
        waiting.resource = WaitingFor::GitServer;
        waiting.of = Some("git.example.org".into());
        waiting.work = None;
        assert_eq!(
            Lang::En.waiting(&waiting),
            "Waiting for a connection to git.example.org: 2 ahead"
        );
    }

    #[test]
    fn durations_are_short() {
        let d = Duration::from_millis;
        assert_eq!(Lang::En.took(d(40)), "40 ms");
        assert_eq!(Lang::En.took(d(449)), "0.4 s");
        assert_eq!(Lang::Ru.took(d(2700)), "2,7 с");
        assert_eq!(Lang::En.took(d(65_000)), "1 min 05 s");
        assert_eq!(Lang::Ru.took(d(65_000)), "1 мин 05 с");
    }
}
