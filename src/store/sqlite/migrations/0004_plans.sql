-- Which of the configuration's plans limits an account, by name. NULL = none: what accounts without a plan may.
ALTER TABLE accounts ADD COLUMN plan TEXT;
