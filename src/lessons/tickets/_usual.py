"""What can be asked for in every ticket, and what is answered where nothing is the matter."""

from random import Random

# Each name, and a pattern of the words by which people ask for it.
CATALOGUE = {
    "logs": r"(?:application |app |error |pod )?logs?(?: lines?)?|stdout|stderr|log files?|(?:job|run) history|history of (?:the )?(?:jobs?|runs?)",
    "traceback": r"(?:the )?(?:full )?(?:traceback|stack ?trace|call stack|thread dump|exceptions?|error messages?|errors?(?: text| itself)?)s?",
    "users": r"users?|reporters?|who (?:is|else is) affected|who reported|since when|screenshots?|(?:exact )?symptoms?|customers?",
    "latency": r"latency|latencies|response times?|p9[059]|percentiles?|traces?|tracing|spans?|slow(?:est)? requests|timings?|how (?:slow|fast|long)|slow|durations?|run ?times?",
    "traffic": r"traffic|requests? (?:rate|per second|volume)|rps|qps|callers?|load on|call volume|(?:number of|how many) (?:requests|calls)|requests? counts?|requests per minute",
    "queries": r"quer(?:y|ies)(?: log)?|sql|slow query log|statements?|orm|databases?|lock(?:s|ing)?|lock waits?|deadlocks?",
    "query plan": r"(?:query |execution )?plans?|explain(?: analyze| query plan)?",
    "schema": r"schemas?|index(?:es)?|indices|ddl|table definitions?|(?:column|data) types?|dtypes?|constraints?",
    "memory": r"memory(?: over time| use| usage| profile)?|ram|rss|heap|tracemalloc|allocations?|oom|garbage collect(?:ion|or)|gc",
    "cpu": r"cpu(?: use| usage| load)?|processors?|load average|gpu",
    "disk": r"disks?(?: space| usage)?|storage|iops|file ?system|volumes?",
    "network": r"network|dns|ping|packets?|firewall|bandwidth|connectivity|load ?balancer|proxy|certificates?|ssl|tls",
    "packages": r"pip (?:freeze|list|check)|packages?|dependenc(?:y|ies)|lock ?files?|requirements?(?:\.txt)?|installed(?: versions?)?|librar(?:y|ies)(?: versions?)?|resolver|site-packages|python version",
    "install log": r"install(?:ation)? log|pip install|build log|image build|ci log|pipeline log|build output",
    "config": r"config(?:uration)?s?|settings?|environment variables?|env(?: vars?)?|limits?|values\.yaml|manifests?|(?:feature )?flags?|parameters?|time-?outs?|retr(?:y|ies)(?: policy)?|(?:connection )?pools?(?: size)?|cron(?: schedule)?|schedules?",
    "deploy diff": r"(?:last |the )?(?:deploy(?:ment)?|release)s?(?: diff| history)?|diffs?|what (?:has |was )?(?:changed|deployed)|changed?|changes|git (?:log|diff|blame)|commits?|migrations?|pull requests?|rollouts?",
    "code": r"(?:source )?code|source|functions?|implementation|script",
    "events": r"(?:pod |kubernetes |k8s |cluster )?events?|kubectl(?: describe| get)?(?: pods?)?|restarts?|exit codes?|probes?|pod status|containers?",
    "model version": r"model versions?|which model|alias(?:es)?|registry|served model|champion|model card|which version|(?:re)?trained|training date",
    "metric by slice": r"(?:metrics?|errors?|scores?|accuracy|failures|status codes?|error rates?) (?:by|per) (?:slice|segment|group|region|shop|city|category|type|source|depot|pod|instance|host|node|server|endpoint|route|client|customer|user|device|version)s?|which (?:endpoints?|routes?|pods?|instances?|clients?|requests|shops?|regions?)|(?:all|one|only one) (?:pods?|instances?|hosts?|clients?|endpoints?|shops?|regions?)|all or (?:some|one)|by (?:pod|instance|host|endpoint|client)|slices?|slicing|segments?|breakdown|by (?:region|shop|city|group|category|source|type|depot)|per (?:region|shop|city|group|category|source|depot)",
    "metric over time": r"(?:metrics?|errors?|scores?)(?: over time| history| by (?:day|hour|week|month)| per (?:day|hour|week|month))|over time|history of the (?:metric|score|error)|dashboards?|trend|by (?:day|hour|week)|monitoring|grafana|alerts?|metrics|(?:error|failure) rates?|accuracy|when did (?:it|this|that) (?:start|begin|happen)",
    "inputs": r"inputs?(?: distributions?)?|features?(?: distributions?)?|drift(?: report)?|distributions?|quantiles?|quartiles?|histograms?|nulls?|missing values?|null share|data quality",
    "row counts": r"(?:row |record )?counts?|(?:number of|how many) (?:rows|records)|rows per (?:day|source|region)|duplicates?|ingest(?:ion)?(?: counts?)?|partitions?|volume of data|completeness",
    "sample rows": r"samples?(?: rows?)?|raw (?:rows?|data)|examples?|payloads?|head|some rows|rows themselves|one record|(?:fail(?:ing|ed)|bad) (?:requests?|rows?|records?)|request bod(?:y|ies)",
    "labels": r"labels?(?: delay| age)?|ground truth|outcomes?|targets?|actuals|label latency",
    "calendar": r"calendar|holidays?|last year|same (?:day|week|weekday) (?:last year|a year ago)|seasonality|season|weather|news",
    "upstream": r"upstream|suppliers?|vendors?|providers?|other teams?|(?:data )?feeds?|source systems?|sources?(?: systems?)|changelog|data contract",
    "reproduce": r"reproduc\w+|re-?run|replay|run (?:it )?(?:locally|offline|again)|same inputs?|offline (?:run|score)|locally|backtest|minimal example",
}


def usual(name: str, rng: Random) -> str:
    """Return what a healthy system shows; numbers differ from ticket to ticket."""
    n = rng.randint
    quiet = {
        "logs": lambda: (
            f"INFO  health check ok (every 10 s)\nINFO  {n(20, 90)} lines in the last ten minutes, none above INFO"
        ),
        "traceback": lambda: "None was logged in the last three days.",
        "users": lambda: "The reporter has nothing to add to what the ticket says. Nobody else has written.",
        "latency": lambda: f"p50 {n(11, 19)} ms   p99 {n(80, 120)} ms   last week: the same within 5 ms",
        "traffic": lambda: f"{n(40, 70)} requests a second at this hour, last week {n(40, 70)}",
        "queries": lambda: f"{n(4, 8)} statements a request, none above {n(9, 20)} ms",
        "query plan": lambda: "SEARCH by the primary key in every statement that is looked at.",
        "schema": lambda: f"No table or index was made, changed or dropped in {n(30, 90)} days.",
        "memory": lambda: f"{n(38, 46)} % of the limit, flat for {n(6, 20)} days",
        "cpu": lambda: f"{n(22, 34)} % of the request on average, {n(50, 64)} % at the peak of the day",
        "disk": lambda: f"{n(41, 66)} % used, {n(1, 3)} % more than a month ago",
        "network": lambda: (
            f"0 packets lost, name lookups {n(1, 3)} ms, round trip to the database 0.{n(3, 7)} ms"
        ),
        "packages": lambda: (
            "Installed versions are those of the lock file; pip check: No broken requirements found."
        ),
        "install log": lambda: (
            f"Successfully built; {n(61, 94)} packages from the cache, the same as last month."
        ),
        "config": lambda: f"Unchanged for {n(20, 80)} days.",
        "deploy diff": lambda: f"The last deploy of anything in this path was {n(24, 70)} days ago.",
        "code": lambda: f"Unchanged for {n(24, 70)} days.",
        "events": lambda: f"3 of 3 pods ready, 0 restarts, age {n(9, 30)} days",
        "model version": lambda: (
            f"Version {n(12, 30)} answers, as the registry's alias says, for {n(15, 50)} days."
        ),
        "metric by slice": lambda: "No slice differs from last month by more than its usual scatter.",
        "metric over time": lambda: f"Within the band of the last {n(8, 20)} weeks.",
        "inputs": lambda: "Quartiles and shares of missing values of every input are those of last month.",
        "row counts": lambda: (
            f"Within {n(1, 3)} % of the same weekday of the last four weeks, every source; no key twice."
        ),
        "sample rows": lambda: "Ten rows by chance: nothing odd in them.",
        "labels": lambda: f"Complete up to {n(2, 4)} days ago, as always.",
        "calendar": lambda: "An ordinary week: no holiday, no strike, no storm.",
        "upstream": lambda: "No announcement of any supplier or other team in the last month.",
        "reproduce": lambda: "A rerun of yesterday's job on yesterday's data gives yesterday's numbers.",
    }
    return quiet[name]()
