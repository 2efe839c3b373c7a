//! Every sentence of the front, in each language.

macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $ru:literal;)+) => {
        /// The sentences that need no value.
        impl Lang {
            $($(#[$doc])* #[doc = $en] pub fn $name(self) -> &'static str { self.pick($en, $ru) })+
        }
    };
}

mod admin;
mod delivery;
mod general;
mod said;
mod steps;
mod work;

pub use said::Said;

use crate::text::printable;
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT_LANGUAGE, COOKIE},
        request::Parts,
    },
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
    /// The language that was chosen on a page; else the one that `Accept-Language` likes best of those there are.
    pub fn of(headers: &HeaderMap) -> Self {
        if let Some(chosen) = Self::chosen(headers) {
            return chosen;
        }
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

    /// The language with this code.
    pub fn by_code(code: &str) -> Option<Self> {
        [Self::En, Self::Ru]
            .into_iter()
            .find(|lang| lang.code() == code)
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::En => Self::Ru,
            Self::Ru => Self::En,
        }
    }

    /// Keeps the choice in the browser, for a year.
    pub fn cookie(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::En => "cid-lang=en; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax",
            Self::Ru => "cid-lang=ru; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax",
        })
    }

    fn chosen(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(COOKIE).into_iter();
        let mut pairs = texts
            .filter_map(|text| text.to_str().ok())
            .flat_map(|text| text.split(';'));
        let code = pairs.find_map(|pair| pair.trim().strip_prefix("cid-lang="))?;
        Self::by_code(code)
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
            WorkspaceState::Stopped => self.pick("stopped", "остановлен"),
            WorkspaceState::Asleep => self.pick("asleep", "спит"),
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
            (JobKind::Stop | JobKind::Sleep, JobState::Running) => {
                self.pick("Stopping the workspace", "Останавливаем стенд")
            }
            (JobKind::Stop, JobState::Done) => {
                self.pick("The workspace is stopped", "Стенд остановлен")
            }
            (JobKind::Sleep, JobState::Done) => self.pick("The workspace is asleep", "Стенд спит"),
            (JobKind::Stop | JobKind::Sleep, JobState::Undone) => {
                self.pick("The workspace was not stopped", "Стенд не остановлен")
            }
            (JobKind::Start, JobState::Running) => {
                self.pick("Starting the workspace", "Запускаем стенд")
            }
            (JobKind::Start, JobState::Done) => {
                self.pick("The workspace runs again", "Стенд снова работает")
            }
            (JobKind::Start, JobState::Undone) => {
                self.pick("The workspace was not started", "Стенд не запущен")
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
            (JobKind::Template, JobState::Running) => {
                self.pick("Making the template", "Готовим заготовку")
            }
            (JobKind::Template, JobState::Done) => {
                self.pick("The template is made", "Заготовка готова")
            }
            (JobKind::Template, JobState::Undone) => {
                self.pick("The template was not made", "Заготовка не сделана")
            }
            (JobKind::Unspecified, JobState::Done) => self.pick("Done", "Готово"),
            (JobKind::Unspecified, JobState::Undone) => self.pick("Not done", "Не сделано"),
            (JobKind::Unspecified, JobState::Running) | (_, JobState::Unknown) => {
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
