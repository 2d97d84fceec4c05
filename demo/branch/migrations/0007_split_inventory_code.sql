-- One code that means three things becomes three columns that mean one thing each:
-- BER-07-A3/B2024-118/SN0004711  ->  BER-07-A3, B2024-118, SN0004711
begin;

alter table inventory_items
    add column location_code text,
    add column batch_number  text,
    add column serial_number text;

-- Not worth maintaining for a column that goes away.
alter table inventory_items drop constraint inventory_items_inventory_code_key;

update inventory_items
set location_code = split_part(inventory_code, '/', 1),
    batch_number  = split_part(inventory_code, '/', 2),
    serial_number = split_part(inventory_code, '/', 3);

alter table inventory_items
    alter column location_code set not null,
    alter column batch_number  set not null,
    alter column serial_number set not null,
    add constraint inventory_items_location_code_check check (location_code ~ '^[A-Z]{3}-[0-9]{2}-[A-Z][0-9]$'),
    add constraint inventory_items_batch_number_check  check (batch_number ~ '^B[0-9]{4}-[0-9]{3}$'),
    add constraint inventory_items_serial_number_check check (serial_number ~ '^SN[0-9]{7,}$'),
    add constraint inventory_items_serial_number_key   unique (serial_number),
    drop column inventory_code;

create index inventory_items_location_code_idx on inventory_items (location_code);

insert into schema_migrations (version) values ('0007');

commit;
