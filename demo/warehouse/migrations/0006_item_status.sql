-- An item is in stock, reserved for an order, or quarantined after a return.
begin;

alter table inventory_items
    add column status text not null default 'in stock'
    check (status in ('in stock', 'reserved', 'quarantined'));

insert into schema_migrations (version) values ('0006');

commit;
