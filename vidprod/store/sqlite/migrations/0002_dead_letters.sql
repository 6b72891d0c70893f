-- What was refused is discarded too, but nobody has to look after it: it lies beside the dead letters, not among them.
-- The last attempt decides. Rows from before `refused` was recorded count as dead letters.
drop index task_discarded;
create index task_dead on task (id) where state = 'discarded' and errors ->> '$[#-1].refused' is not 1;
create index task_refused on task (id) where state = 'discarded' and errors ->> '$[#-1].refused' is 1;
