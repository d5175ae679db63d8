-- A state file of format 1 with two runs, a release, deployments, a canary, a schedule and a user.
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE answers (
    day TEXT NOT NULL, alias TEXT NOT NULL, digest TEXT NOT NULL, asked INTEGER NOT NULL, empty INTEGER NOT NULL, failed INTEGER NOT NULL,
    PRIMARY KEY (day, alias, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "answers" VALUES('2026-11-28','recommend','model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653',1,0,0);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE canaries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, run TEXT NOT NULL, output TEXT NOT NULL, digest TEXT NOT NULL,
    artifact TEXT NOT NULL, package TEXT NOT NULL, share REAL NOT NULL, begun REAL NOT NULL, ends REAL NOT NULL, approver TEXT NOT NULL,
    checks TEXT NOT NULL, state TEXT NOT NULL, said TEXT NOT NULL
) STRICT;
INSERT INTO "canaries" VALUES(1,'recommend','20261128-031612-12528c','popular','model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653','{"digest": "model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653", "kind": "model", "sha256": "7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7", "size": 852, "suffix": ".npz"}','',0.1,1.79583579195801019664e+09,1.79583819195801019669e+09,'','[]','open','');
CREATE TABLE curves (
    key TEXT NOT NULL, metric TEXT NOT NULL, step INTEGER NOT NULL, value REAL, PRIMARY KEY (key, metric, step)
) STRICT, WITHOUT ROWID;
INSERT INTO "curves" VALUES('6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','loss',0,1.0);
INSERT INTO "curves" VALUES('6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','loss',1,0.5);
INSERT INTO "curves" VALUES('6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','loss',2,3.33333333333333314829e-01);
CREATE TABLE deployments (
    version INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, run TEXT NOT NULL, output TEXT NOT NULL, digest TEXT NOT NULL,
    artifact TEXT NOT NULL, package TEXT NOT NULL, since REAL NOT NULL, approver TEXT NOT NULL, checks TEXT NOT NULL
) STRICT;
INSERT INTO "deployments" VALUES(1,'production','20261128-031612-12528c','popular','model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653','{"digest": "model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653", "kind": "model", "sha256": "7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7", "size": 852, "suffix": ".npz"}','',1.79583577876430034638e+09,'ana','[]');
INSERT INTO "deployments" VALUES(2,'recommend','20261128-031612-12528c','popular','model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653','{"digest": "model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653", "kind": "model", "sha256": "7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7", "size": 852, "suffix": ".npz"}','',1795835779.36546,'','[]');
CREATE TABLE files (
    path TEXT NOT NULL, identity TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (path)
) STRICT, WITHOUT ROWID;
CREATE TABLE firings (
    schedule TEXT NOT NULL REFERENCES schedules ON DELETE CASCADE, occasion TEXT NOT NULL, number INTEGER NOT NULL, noticed REAL NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, not_before REAL NOT NULL, run TEXT NOT NULL, said TEXT NOT NULL, ended REAL,
    PRIMARY KEY (schedule, occasion)
) STRICT;
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'cap', 'spend', 'decide', 'finish', 'refuse', 'data', 'share')),
    account TEXT,
    release TEXT,
    epsilon INTEGER NOT NULL CHECK (epsilon >= 0),
    delta INTEGER NOT NULL CHECK (delta >= 0),
    time INTEGER NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE
);
INSERT INTO "ledger" VALUES(1,'open','visits',NULL,10000000000,100000000000000,1795835774457,'{"composition":"basic","limit":{"delta":100000000000000,"epsilon":10000000000,"period":null,"period_delta":0,"period_epsilon":0},"salt":"2c0ac21d0419aa240c121609c3f539fd","sign_off":false,"unit":"person"}','0000000000000000000000000000000000000000000000000000000000000000','c2f758e65d71c235cfcb2085621bd8eb2d4d54bbba69bfb09e260cd6f963cb43');
INSERT INTO "ledger" VALUES(2,'data','visits','614e52ab6d04b5aec00933528ba45c7ac3913d89d3afe3a2355783487a4a862d',0,0,1795835774457,'{"salt":"dc6e3d5e1fd66cb9720dfb8697579a9f"}','c2f758e65d71c235cfcb2085621bd8eb2d4d54bbba69bfb09e260cd6f963cb43','81e6bcb7a9e2cb0640e45d1a6f0f813c439f0d3430550f1df7bf816695560181');
INSERT INTO "ledger" VALUES(3,'data','visits','2d3e475539d63fcf1f97e7e4ed03ef80ac1a1e79f409f28789fc2f89ea8a90bb',0,0,1795835774457,'{"salt":"71f8e8dd7c3192b76763062ebc8b1c53"}','81e6bcb7a9e2cb0640e45d1a6f0f813c439f0d3430550f1df7bf816695560181','b4ea0c5a2f93577127d2adf4a6459ea1a867f2e3a8e6390486b935e619644227');
INSERT INTO "ledger" VALUES(4,'spend','visits','3521fffcd600673e52f6a4e589fd5ab414843808a20fb013e972fb67df452a42',4000000000,1000000000000,1795835774605,'{"after":{"delta":1000000000000,"epsilon":4000000000,"mu2":686940967,"mu_slack":205464851233,"reserve":19661996,"rho":343470484,"slack":205464851233,"steps":1},"commitment":"5acc024b27d76ab47266abcc3a22f5023c785796f3e0491b1be508506fa3378d","description":{"cells":6,"delta":1e-06,"delta_parts":{"counts":7.4999999925e-07,"sampler":3.379330873983005e-73,"threshold":2.05464851232851e-07},"epsilon":4.0,"events":[{"cells":6,"noise":"discrete_gaussian","sensitivity":1,"sigma2":"559/64"}],"extra_delta":2.05464851232851e-07,"item":"area","max_contributions":3,"max_items":2000,"mechanism":"gram","noise":"discrete Gaussian on every cell","not_covered":["more than one unit acting together: k units together are protected by k epsilon only","what others say about a unit in their own rows","how long the release took and how much memory it used","the names and types of the columns, taken as public: declare types where rows may change them (types=)","that a release was refused or failed","anyone who holds the steward''s key, and anyone who breaks AES-256","whether every person has exactly one value in the unit column"],"pipeline":"areas","relation":"add or remove one unit","sensitivity":"one unit changes at most 6 cells (pairs of its at most 3 kept items), each by exactly 1","sigma":2.9553976043842223,"sigma2":"559/64","step":"gram","threshold":17,"unit":"person","version":1},"salt":"147e5940687290a4dcfce888dde8b4ed"}','b4ea0c5a2f93577127d2adf4a6459ea1a867f2e3a8e6390486b935e619644227','089583af3eaf930d06e9b766ed9f95becb1d012861b9e4060db52186b3edd8a5');
INSERT INTO "ledger" VALUES(5,'finish',NULL,'3521fffcd600673e52f6a4e589fd5ab414843808a20fb013e972fb67df452a42',0,0,1795835775689,'{"digest":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","salt":"e06774fc56add874149448ee18c843b3"}','089583af3eaf930d06e9b766ed9f95becb1d012861b9e4060db52186b3edd8a5','18eb229d7d08d11052f2627ff8eeba7cfe9371693f309d170c79d9e656b7de34');
CREATE TABLE ledger_clock (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT, wall INTEGER, running INTEGER);
INSERT INTO "ledger_clock" VALUES(1,'96f3c8c0-1d6d-4873-a1d9-6876188b07d2',1795835775688,6113580);
CREATE TABLE local_collections (id BLOB PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE local_refused (
    client BLOB NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (client, reason)
) WITHOUT ROWID;
CREATE TABLE local_reports (
    collection BLOB NOT NULL REFERENCES local_collections (id),
    client BLOB NOT NULL,
    nonce BLOB NOT NULL,
    period INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (client, collection, nonce)
) WITHOUT ROWID;
CREATE TABLE metric_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "metric_names" VALUES(1,'gram_guarantee.cells');
INSERT INTO "metric_names" VALUES(2,'gram_guarantee.delta');
INSERT INTO "metric_names" VALUES(3,'gram_guarantee.delta_counts');
INSERT INTO "metric_names" VALUES(4,'gram_guarantee.delta_sampler');
INSERT INTO "metric_names" VALUES(5,'gram_guarantee.delta_threshold');
INSERT INTO "metric_names" VALUES(6,'gram_guarantee.epsilon');
INSERT INTO "metric_names" VALUES(7,'gram_guarantee.max_contributions');
INSERT INTO "metric_names" VALUES(8,'gram_guarantee.max_items');
INSERT INTO "metric_names" VALUES(9,'gram_guarantee.sigma');
INSERT INTO "metric_names" VALUES(10,'gram_guarantee.threshold');
INSERT INTO "metric_names" VALUES(11,'quality.items');
CREATE TABLE model_versions (
    name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "model_versions" VALUES('areas.popular',1,'model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653');
CREATE TABLE private_contents (
    digest TEXT PRIMARY KEY, source TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "private_contents" VALUES('f1c73cdb2b310939709b99e64757b3707b5ae5a1a9526dbe79bfd05e1fcfe999','visits');
INSERT INTO "private_contents" VALUES('file:f1c73cdb2b310939709b99e64757b3707b5ae5a1a9526dbe79bfd05e1fcfe999','visits');
INSERT INTO "private_contents" VALUES('table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848','visits');
CREATE TABLE publications (path TEXT PRIMARY KEY, run TEXT NOT NULL, made REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE releases (
    key TEXT PRIMARY KEY, outputs TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE results (
    key TEXT PRIMARY KEY, outputs TEXT NOT NULL, seconds REAL NOT NULL, made REAL NOT NULL, run TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "results" VALUES('1fdca995afe6d2a257cca2f0dec81e9eafcfb4e5cf4f52e09584565fd61a7838','[{"digest":"table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848","kind":"table","sha256":"31b7de2dabfe8409efc3436e8ca4ae46ce620537cc211810eb4df8430f69220d","size":4238,"suffix":".parquet"}]',2.77289325000310782343e-01,1.79583577440248966217e+09,'20261128-031612-12528c');
INSERT INTO "results" VALUES('3521fffcd600673e52f6a4e589fd5ab414843808a20fb013e972fb67df452a42','[{"digest":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","kind":"table","sha256":"2b999c95dee0fd4b4354545e4d81bb74cc6d88d9b44508a264422274264adb4a","size":1067,"suffix":".parquet"},{"digest":"metrics:77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","kind":"metrics","sha256":"77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","size":269,"suffix":".json"}]',1.05027134200008731568e+00,1.79583577571289682386e+09,'20261128-031612-12528c');
INSERT INTO "results" VALUES('6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','[{"digest":"metrics:d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","kind":"metrics","sha256":"d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","size":16,"suffix":".json"}]',4.5979444999829865992e-02,1.79583577652340030663e+09,'20261128-031612-12528c');
INSERT INTO "results" VALUES('cef6a147722818a0d148e350dff5579929cf0fba5727504eaf838f77f2c9b755','[{"digest":"model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653","kind":"model","sha256":"7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7","size":852,"suffix":".npz"}]',6.94546622999951068777e-01,1.79583577645972561828e+09,'20261128-031612-12528c');
CREATE TABLE run_metrics (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, name INTEGER NOT NULL, value REAL, PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',1,6.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',1,6.0);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',2,1.0e-06);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',2,1.0e-06);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',3,7.4999999925e-07);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',3,7.4999999925e-07);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',4,3.3793308739830050613e-73);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',4,3.3793308739830050613e-73);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',5,2.05464851232851e-07);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',5,2.05464851232851e-07);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',6,4.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',6,4.0);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',7,3.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',7,3.0);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',8,2000.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',8,2000.0);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',9,2.9553976043842222765e+00);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',9,2.9553976043842222765e+00);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',10,17.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',10,17.0);
INSERT INTO "run_metrics" VALUES('20261128-031612-12528c',11,3.0);
INSERT INTO "run_metrics" VALUES('20261128-031617-53526a',11,3.0);
CREATE TABLE run_tags (
    run TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE, name TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "run_tags" VALUES('20261128-031617-53526a','second','{"split": "2"}','');
CREATE TABLE runs (
    run TEXT PRIMARY KEY, pipeline TEXT NOT NULL, file TEXT, started REAL NOT NULL, seconds REAL, status TEXT NOT NULL,
    seed INTEGER NOT NULL, settings TEXT NOT NULL, environment TEXT NOT NULL, git TEXT, graph TEXT NOT NULL
) STRICT;
INSERT INTO "runs" VALUES('20261128-031612-12528c','areas','/srv/areas/areas.py',1.79583577277169919011e+09,3.75671842599967931164e+00,'done',0,'{}','{"blas":[{"architecture":"SkylakeX","internal_api":"openblas","num_threads":1,"version":"0.3.31.188.0"}],"confined":"landlock 7; no network; system call filter","cpu":"a processor","drift":[],"implementation":"cpython","libc":"glibc-2.36","lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","lock_file":"requirements.lock","machine":"x86_64","pellucid":"0.1.0","python":"3.11.7","release":"6.1.0","system":"Linux"}',NULL,'[{"inputs":{},"kind":"source","label":"private","outputs":[["visits","table",false]],"step":"visits","tolerance":null},{"inputs":{"of":"visits"},"kind":"release","label":"open","outputs":[["gram","table",false],["gram_guarantee","metrics",false]],"step":"gram","tolerance":null},{"inputs":{"gram":"gram"},"kind":"step","label":"open","outputs":[["popular","model",false]],"step":"popular","tolerance":null},{"inputs":{"popular":"popular"},"kind":"step","label":"open","outputs":[["quality","metrics",false]],"step":"quality","tolerance":null}]');
INSERT INTO "runs" VALUES('20261128-031617-53526a','areas','/srv/areas/areas.py',1.79583577796658015249e+09,2.53424440006710938178e-02,'done',0,'{}','{"cpu":"a processor","drift":[],"implementation":"cpython","libc":"glibc-2.36","lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","lock_file":"requirements.lock","machine":"x86_64","pellucid":"0.1.0","python":"3.11.7","release":"6.1.0","system":"Linux"}',NULL,'[{"inputs":{},"kind":"source","label":"private","outputs":[["visits","table",false]],"step":"visits","tolerance":null},{"inputs":{"of":"visits"},"kind":"release","label":"open","outputs":[["gram","table",false],["gram_guarantee","metrics",false]],"step":"gram","tolerance":null},{"inputs":{"gram":"gram"},"kind":"step","label":"open","outputs":[["popular","model",false]],"step":"popular","tolerance":null},{"inputs":{"popular":"popular"},"kind":"step","label":"open","outputs":[["quality","metrics",false]],"step":"quality","tolerance":null}]');
CREATE TABLE schedules (
    name TEXT PRIMARY KEY, target TEXT NOT NULL, settings TEXT NOT NULL, kind TEXT NOT NULL, expression TEXT NOT NULL, zone TEXT NOT NULL,
    missed TEXT NOT NULL, retries INTEGER NOT NULL, made REAL NOT NULL, considered REAL NOT NULL, seen TEXT NOT NULL, paused TEXT
) STRICT;
INSERT INTO "schedules" VALUES('nightly','/srv/areas/areas.py','[]','cron','0 3 * * *','Europe/Berlin','latest',0,1.79583578059511041634e+09,1.79583578059511041634e+09,'',NULL);
CREATE TABLE sessions (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, form TEXT NOT NULL, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL,
    label TEXT NOT NULL, key TEXT NOT NULL, parts TEXT NOT NULL, action TEXT NOT NULL, outputs TEXT NOT NULL,
    seconds REAL NOT NULL, attempts INTEGER NOT NULL, confined TEXT NOT NULL, message TEXT NOT NULL, private TEXT NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
INSERT INTO "steps" VALUES('20261128-031612-12528c',2,'gram','release','open','3521fffcd600673e52f6a4e589fd5ab414843808a20fb013e972fb67df452a42','{"input of":"table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848","setting delta":"1e-06","setting epsilon":"4.0","setting item":"\"area\"","setting max_contributions":"3","setting max_items":"2000","setting other":"\"\"","setting public_keys":"[]","shape":"release"}','ran','{"gram":{"digest":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","kind":"table","sha256":"2b999c95dee0fd4b4354545e4d81bb74cc6d88d9b44508a264422274264adb4a","size":1067,"suffix":".parquet"},"gram_guarantee":{"digest":"metrics:77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","kind":"metrics","sha256":"77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","size":269,"suffix":".json"}}',1.05027134200008731568e+00,1,'landlock 7; no network; system call filter','','');
INSERT INTO "steps" VALUES('20261128-031612-12528c',3,'popular','step','open','cef6a147722818a0d148e350dff5579929cf0fba5727504eaf838f77f2c9b755','{"code areas:popular":"96bbe736809ecc313373ee4b9cde0852fe064ab19b00b54be4e5e99d3cd6b8e6","determinism hash seed":"0","determinism seed":"5780126410178455146","determinism threads":"1","environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input gram":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","shape":"[[[\"\", \"model\", false]], false, null, false]"}','ran','{"popular":{"digest":"model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653","kind":"model","sha256":"7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7","size":852,"suffix":".npz"}}',6.94546622999951068777e-01,1,'landlock 7; no network; system call filter','','');
INSERT INTO "steps" VALUES('20261128-031612-12528c',4,'quality','step','open','6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','{"code areas:quality":"4e85f6f1f33a501257938eda1d6b71a3c488068fabf0d22d16f4c04adf874ca1","determinism hash seed":"0","determinism seed":"2528928196710242375","determinism threads":"1","environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input popular":"model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653","shape":"[[[\"\", \"metrics\", false]], false, null, false]"}','ran','{"quality":{"digest":"metrics:d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","kind":"metrics","sha256":"d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","size":16,"suffix":".json"}}',4.5979444999829865992e-02,1,'landlock 7; no network; system call filter','','');
INSERT INTO "steps" VALUES('20261128-031612-12528c',1,'visits','source','private','1fdca995afe6d2a257cca2f0dec81e9eafcfb4e5cf4f52e09584565fd61a7838','{"environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input file":"f1c73cdb2b310939709b99e64757b3707b5ae5a1a9526dbe79bfd05e1fcfe999","setting format":"\"csv\"","setting suffix":"\".csv\"","shape":"source with unit person"}','ran','{"visits":{"digest":"table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848","kind":"table","sha256":"31b7de2dabfe8409efc3436e8ca4ae46ce620537cc211810eb4df8430f69220d","size":4238,"suffix":".parquet"}}',2.77289325000310782343e-01,1,'landlock 7; no network; system call filter','','');
INSERT INTO "steps" VALUES('20261128-031617-53526a',2,'gram','release','open','3521fffcd600673e52f6a4e589fd5ab414843808a20fb013e972fb67df452a42','{"input of":"table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848","setting delta":"1e-06","setting epsilon":"4.0","setting item":"\"area\"","setting max_contributions":"3","setting max_items":"2000","setting other":"\"\"","setting public_keys":"[]","shape":"release"}','reused','{"gram":{"digest":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","kind":"table","sha256":"2b999c95dee0fd4b4354545e4d81bb74cc6d88d9b44508a264422274264adb4a","size":1067,"suffix":".parquet"},"gram_guarantee":{"digest":"metrics:77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","kind":"metrics","sha256":"77aefce665c68a3e39e36633eed809de15566ebd3814f7782ee9b61f02986279","size":269,"suffix":".json"}}',0.0,0,'','','');
INSERT INTO "steps" VALUES('20261128-031617-53526a',3,'popular','step','open','cef6a147722818a0d148e350dff5579929cf0fba5727504eaf838f77f2c9b755','{"code areas:popular":"96bbe736809ecc313373ee4b9cde0852fe064ab19b00b54be4e5e99d3cd6b8e6","determinism hash seed":"0","determinism seed":"5780126410178455146","determinism threads":"1","environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input gram":"table:12b11080c773e89ba4ef13c0ac2374e666f8aecec925c01db275cb8bb22eab3a","shape":"[[[\"\", \"model\", false]], false, null, false]"}','reused','{"popular":{"digest":"model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653","kind":"model","sha256":"7adb73982ced64185cfb4bca1ff018ea7fad305af8b8b8b502302003d7724bc7","size":852,"suffix":".npz"}}',0.0,0,'','','');
INSERT INTO "steps" VALUES('20261128-031617-53526a',4,'quality','step','open','6ae644aa57b365fa72b4e6b3cf06f837be34d7673fa60106e7721d105710ba47','{"code areas:quality":"4e85f6f1f33a501257938eda1d6b71a3c488068fabf0d22d16f4c04adf874ca1","determinism hash seed":"0","determinism seed":"2528928196710242375","determinism threads":"1","environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input popular":"model:244adef7a114765448283f40e35812437a038601032b2598f11fb6a915bb0653","shape":"[[[\"\", \"metrics\", false]], false, null, false]"}','reused','{"quality":{"digest":"metrics:d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","kind":"metrics","sha256":"d5c166ad3f59849fd6c93c0dcb05da7cfe9cd1b4de7e1c7b80b555f684f8be8f","size":16,"suffix":".json"}}',0.0,0,'','','');
INSERT INTO "steps" VALUES('20261128-031617-53526a',1,'visits','source','private','1fdca995afe6d2a257cca2f0dec81e9eafcfb4e5cf4f52e09584565fd61a7838','{"environment lock":"08980b69f0b72333c3999f64b79136754b9faa8f6fb595fd8b72d69a86fcc220","environment pellucid":"249012886cc03f012a4bee17aef64bb34b92716947c535138ff6916d4ef04e98","environment python":"3.11.7","input file":"f1c73cdb2b310939709b99e64757b3707b5ae5a1a9526dbe79bfd05e1fcfe999","setting format":"\"csv\"","setting suffix":"\".csv\"","shape":"source with unit person"}','reused','{"visits":{"digest":"table:21f2f509e47c890d563e85faa385accf1119785568d76f0d9c44a0ddaca6d848","kind":"table","sha256":"31b7de2dabfe8409efc3436e8ca4ae46ce620537cc211810eb4df8430f69220d","size":4238,"suffix":".parquet"}}',0.0,0,'','','');
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, role TEXT NOT NULL,
    made REAL NOT NULL, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "tokens" VALUES('c13c3efc79c6653ea0fdc61574de7735ffb09c4fd8241e0f1f19a16589457897','ana','steward',1.79583579144693231575e+09,1.82745819144693255426e+09);
CREATE TABLE users (name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, made REAL NOT NULL) STRICT;
INSERT INTO "users" VALUES('ana','steward','$argon2id$v=19$m=65536,t=3,p=4$SijV6ZwAp67v+ByD2tJmRA$sPRBBaPsrhSnqR+yUJvpIPwOAreNDmFbjsqwmbUuG5c',1.79583578094274544717e+09);
CREATE INDEX steps_by_name ON steps (step, run);
CREATE INDEX run_metrics_by_value ON run_metrics (name, value);
CREATE UNIQUE INDEX ledger_spend ON ledger (release, account) WHERE kind = 'spend';
CREATE UNIQUE INDEX ledger_finish ON ledger (release) WHERE kind = 'finish';
CREATE UNIQUE INDEX ledger_data ON ledger (release, account) WHERE kind = 'data';
CREATE UNIQUE INDEX ledger_open ON ledger (account) WHERE kind = 'open';
CREATE INDEX ledger_account ON ledger (account, kind, seq);
CREATE INDEX ledger_time ON ledger (account, time, epsilon, delta) WHERE kind = 'spend';
CREATE INDEX firings_by_number ON firings (schedule, number);
CREATE INDEX local_reports_period ON local_reports (collection, period, client);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('deployments',2);
INSERT INTO "sqlite_sequence" VALUES('canaries',1);
COMMIT;
