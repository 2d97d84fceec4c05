-- offshoot:ignore add-column-not-null the table is empty
alter table items add column code uuid not null;
--offshoot:ignore rule-one, rule-two
/* offshoot:ignore rule-name because */ drop table lots;
-- offshoot:ignore-file long-lock
-- offshoot:ignore
-- offshoot:rename table public.lots public.batches
-- offshoot:rename column public.items.code "Serial No"
-- offshoot:later whatever
-- see offshoot:ignore in the guide
select '-- offshoot:ignore rule-name' as text;
